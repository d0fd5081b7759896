"""What every peer does with a request; so they differ in nothing but how they serve."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnxruntime as ort
import simplejpeg
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Serving:
    """What to serve and how, from BENCH_ variables that the harness sets.

    `batch` is the most requests in a batch, 1 for none; `workers` is how many copies of the model there shall be.
    """

    model: str
    pictures: bool
    port: int
    batch: int
    workers: int

    @classmethod
    def from_environment(cls) -> Self:
        return cls(
            model=os.environ["BENCH_MODEL"],
            pictures=os.environ["BENCH_PAYLOAD"] == "jpeg",
            port=int(os.environ["BENCH_PORT"]),
            batch=int(os.environ["BENCH_BATCH"]),
            workers=int(os.environ["BENCH_WORKERS"]),
        )


class Classifier:
    """One copy of the model on one core, fed as its card says, with Tidepool's decoder and its session options."""

    def __init__(self, serving: Serving) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(serving.model, options, ["CPUExecutionProvider"])
        self._pictures = serving.pictures
        card = json.loads(self._session.get_modelmeta().custom_metadata_map["tidepool"])
        self.labels: list[str] = card["labels"]
        self.shape = (3, *card["preprocessing"]["image"]["size"])
        mean, std = (np.array(card["preprocessing"][name]).reshape(-1, 1, 1) for name in ("mean", "std"))
        self._scale = (1 / (255 * std)).astype(np.float32)
        self._shift = (-mean / std).astype(np.float32)

    def read(self, body: bytes) -> Array:
        """A JPEG's pixels, or the tensor whose raw bytes a body is: (3, height, width)."""
        if self._pictures:
            return np.ascontiguousarray(simplejpeg.decode_jpeg(body, "RGB").transpose(2, 0, 1))
        return np.frombuffer(body, np.float32).reshape(self.shape)

    def logits(self, read: Sequence[Array]) -> Array:
        """Float32 (n, classes) of what `read` made."""
        batch = np.array(read)
        if self._pictures:
            batch = np.multiply(batch, self._scale, dtype=np.float32)
            batch += self._shift
        return np.asarray(self._session.run(None, {"images": batch})[0])

    def answer(self, read: Sequence[Array]) -> list[dict[str, Any]]:
        """To each picture its best class with its softmax probability, to each tensor its logits."""
        logits = self.logits(read)
        if not self._pictures:
            return [{"logits": row} for row in logits.tolist()]
        best = logits.argmax(axis=1)
        scores = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
        return [
            {"label": self.labels[index], "score": score}
            for index, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]
