"""Serves with MLServer, which only takes JSON: images in base64, tensors as numbers."""

import base64

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.inference.peers.serving import Classifier, Serving


class Inference(MLModel):
    async def load(self) -> bool:
        self._serving = Serving.from_environment()
        self._classifier = Classifier(self._serving)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """MLServer has merged the requests of a batch into one."""
        data = payload.inputs[0].data.root
        if not self._serving.takes_images:
            logits = self._classifier.logits(np.asarray(data, np.float32).reshape(payload.inputs[0].shape))
            output = ResponseOutput(
                name="logits", shape=list(logits.shape), datatype="FP32", data=logits.ravel().tolist()
            )
            return InferenceResponse(model_name=self.name, outputs=[output])
        results = self._classifier.answer([self._classifier.read(base64.b64decode(image)) for image in data])
        shape = [len(results), 1]
        outputs = [
            ResponseOutput(name="label", shape=shape, datatype="BYTES", data=[result["label"] for result in results]),
            ResponseOutput(name="score", shape=shape, datatype="FP32", data=[result["score"] for result in results]),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
