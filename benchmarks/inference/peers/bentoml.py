"""Serves with BentoML, without its batching, which made it slower and lost requests under load."""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.inference.peers.serving import Classifier, Serving

SERVING = Serving.from_environment()


@bentoml.service(workers=SERVING.workers, traffic={"timeout": 30, "max_concurrency": 512})
class Inference:
    def __init__(self) -> None:
        self._classifier = Classifier(SERVING)

    @bentoml.api
    def predict(self, body: Path, /) -> dict[str, Any]:
        return self._classifier.answer([self._classifier.read(body.read_bytes())])[0]
