"""The classifier that all peers share, so that they differ only in how they serve."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnxruntime as ort
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]


@dataclass(frozen=True)
class Serving:
    """The settings from the BENCH_ variables that the harness sets.

    `payload` is that of the requests: `jpeg`, `photo`, `photo-png` or `tensor`. `batch` is the maximum batch size, 1
    for no batching; `workers` is the number of copies of the model. `reduced` decodes JPEG photos at a reduced scale.
    """

    model: str
    payload: str
    port: int
    batch: int
    workers: int
    reduced: bool = False

    @property
    def takes_images(self) -> bool:
        """Whether requests are image files, not tensors."""
        return self.payload != "tensor"

    @classmethod
    def from_environment(cls) -> Self:
        return cls(
            model=os.environ["BENCH_MODEL"],
            payload=os.environ["BENCH_PAYLOAD"],
            port=int(os.environ["BENCH_PORT"]),
            batch=int(os.environ["BENCH_BATCH"]),
            workers=int(os.environ["BENCH_WORKERS"]),
        )


class Classifier:
    """One copy of the model on one core, with Tidepool's decoder, preprocessing and session options."""

    def __init__(self, serving: Serving) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(serving.model, options, ["CPUExecutionProvider"])
        self._serving = serving
        card = json.loads(self._session.get_modelmeta().custom_metadata_map["tidepool"])
        self.labels: list[str] = card["labels"]
        self.shape = (3, *card["preprocessing"]["image"]["size"])
        mean, std = (np.array(card["preprocessing"][name]).reshape(-1, 1, 1) for name in ("mean", "std"))
        self._scale = (1 / (255 * std)).astype(np.float32)
        self._shift = (-mean / std).astype(np.float32)

    def read(self, body: bytes) -> Array:
        """Return an image's pixels or a raw tensor, of shape (3, height, width)."""
        if self._serving.payload == "tensor":
            return np.frombuffer(body, np.float32).reshape(self.shape)
        if self._serving.payload == "jpeg":
            return np.ascontiguousarray(simplejpeg.decode_jpeg(body, "RGB").transpose(2, 0, 1))
        return self._photo(body)

    def _photo(self, body: bytes) -> Array:
        """Return a photo in the model's size, decoded and resized with Pillow."""
        _, height, width = self.shape
        with Image.open(io.BytesIO(body)) as image:
            if self._serving.reduced:
                image.draft("RGB", (2 * width, 2 * height))
            resized = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))

    def logits(self, read: Sequence[Array]) -> Array:
        """Return the float32 logits (n, classes) of arrays from `read`."""
        batch = np.array(read)
        if self._serving.takes_images:
            batch = np.multiply(batch, self._scale, dtype=np.float32)
            batch += self._shift
        return np.asarray(self._session.run(None, {"images": batch})[0])

    def answer(self, read: Sequence[Array]) -> list[dict[str, Any]]:
        """Return the best class and its softmax probability for each image, or the logits for each tensor."""
        logits = self.logits(read)
        if not self._serving.takes_images:
            return [{"logits": row} for row in logits.tolist()]
        best = logits.argmax(axis=1)
        scores = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
        return [
            {"label": self.labels[index], "score": score}
            for index, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]
