"""Serves with NVIDIA Triton through PyTriton: its HTTP front and batcher in C++ over callbacks in Python."""

from collections.abc import Callable

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.inference.peers.serving import Array, Classifier, Serving

SERVING = Serving.from_environment()


def classify_images(classifier: Classifier) -> Callable[..., dict[str, Array]]:
    @batch
    def infer(image: Array) -> dict[str, Array]:
        results = classifier.answer([classifier.read(body) for body in image[:, 0]])
        return {
            "label": np.array([[result["label"].encode()] for result in results], object),
            "score": np.array([[result["score"]] for result in results], np.float32),
        }

    return infer  # type: ignore[no-any-return]


def tensors(classifier: Classifier) -> Callable[..., dict[str, Array]]:
    @batch
    def infer(images: Array) -> dict[str, Array]:
        return {"logits": classifier.logits(images)}

    return infer  # type: ignore[no-any-return]


if __name__ == "__main__":
    copies = [Classifier(SERVING) for _ in range(SERVING.workers)]
    addresses = TritonConfig(
        http_address="127.0.0.1", http_port=SERVING.port, allow_grpc=False, allow_metrics=False, log_verbose=0
    )
    batching = ModelConfig(max_batch_size=SERVING.batch, batcher=DynamicBatcher(max_queue_delay_microseconds=500))
    with Triton(config=addresses) as server:
        if SERVING.takes_images:
            server.bind(
                model_name="model",
                infer_func=[classify_images(copy) for copy in copies],
                inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
                outputs=[
                    Tensor(name="label", dtype=bytes, shape=(1,)),
                    Tensor(name="score", dtype=np.float32, shape=(1,)),
                ],
                config=batching,
                strict=False,
            )
        else:
            server.bind(
                model_name="model",
                infer_func=[tensors(copy) for copy in copies],
                inputs=[Tensor(name="images", dtype=np.float32, shape=copies[0].shape)],
                outputs=[Tensor(name="logits", dtype=np.float32, shape=(len(copies[0].labels),))],
                config=batching,
                strict=False,
            )
        server.serve()
