"""Serves with LitServe: FastAPI over worker processes."""

from typing import Annotated, Any

import litserve
from fastapi import Body

from benchmarks.inference.peers.serving import Array, Classifier, Serving

SERVING = Serving.from_environment()


class Inference(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._classifier = Classifier(SERVING)

    def decode_request(self, request: Annotated[bytes, Body()]) -> Array:
        return self._classifier.read(request)

    def batch(self, inputs: list[Array]) -> list[Array]:
        return inputs

    def predict(self, x: list[Array]) -> list[dict[str, Any]]:
        return self._classifier.answer(x)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Inference(max_batch_size=SERVING.batch, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=SERVING.workers)
    server.run(
        host="127.0.0.1",
        port=SERVING.port,
        num_api_servers=1,
        log_level="error",
        access_log=False,
        generate_client_file=False,
    )
