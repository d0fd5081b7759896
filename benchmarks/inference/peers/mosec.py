"""Serves with mosec: a server in Rust over worker processes in Python."""

from collections.abc import Sequence
from typing import Any

import orjson
from mosec import Server, Worker

from benchmarks.inference.peers.serving import Array, Classifier, Serving

SERVING = Serving.from_environment()


class Inference(Worker):
    def __init__(self) -> None:
        self._classifier = Classifier(SERVING)

    def deserialize(self, data: bytes) -> Array:
        return self._classifier.read(data)

    def forward(self, data: Sequence[Array] | Array) -> list[dict[str, Any]] | dict[str, Any]:
        """`data` is a list if batching is on, otherwise one request."""
        return self._classifier.answer(data) if isinstance(data, list) else self._classifier.answer([data])[0]

    def serialize(self, data: dict[str, Any]) -> bytes:
        return orjson.dumps(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Inference, num=SERVING.workers, max_batch_size=SERVING.batch, max_wait_time=1)
    server.run()
