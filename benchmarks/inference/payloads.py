"""The request bodies: one image and one tensor, in the format of each server."""

import base64
import io
import json
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.inference.subjects import Subject

PAYLOADS = ("jpeg", "tensor", "photo", "photo-png")
PHOTO = (4000, 3000)
_TYPES = {"jpeg": "image/jpeg", "photo": "image/jpeg", "photo-png": "image/png"}
JSON_SIZE = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Body:
    """A request body and its headers."""

    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True)
class Case:
    """One model with one kind of payload."""

    subject: Subject
    payload: str

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.payload}"

    @property
    def is_image(self) -> bool:
        """Whether requests are image files, not tensors."""
        return self.payload != "tensor"

    @cached_property
    def raw(self) -> Body:
        """The image file, or the tensor's bytes."""
        if self.is_image:
            return Body({"Content-Type": _TYPES[self.payload]}, self._file)
        return Body({"Content-Type": "application/octet-stream"}, self._tensor.tobytes())

    @cached_property
    def binary(self) -> Body:
        """The Open Inference Protocol's binary tensor extension: FP32, or one BYTES element with the file."""
        if self.is_image:
            return _binary("image", (1, 1), "BYTES", struct.pack("<I", len(self._file)) + self._file, "label", "score")
        return _binary("images", self._tensor.shape, "FP32", self._tensor.tobytes(), "logits")

    @cached_property
    def json(self) -> Body:
        """The Open Inference Protocol in JSON: numbers, or the file in base64."""
        if self.is_image:
            data: list[str] | list[float] = [base64.b64encode(self._file).decode()]
            tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": data}
        else:
            data = np.round(self._tensor, 4).ravel().astype(float).tolist()
            tensor = {"name": "images", "shape": list(self._tensor.shape), "datatype": "FP32", "data": data}
        return Body({"Content-Type": "application/json"}, json.dumps({"inputs": [tensor]}).encode())

    @cached_property
    def _file(self) -> bytes:
        if self.payload == "jpeg":
            return _image(self.subject.side, self.subject.side)
        if self.payload == "photo":
            return _image(*PHOTO)
        # A PNG of a whole photo is larger than some peers take; one that was enlarged has 8 MB.
        return _image(*PHOTO, enlarged=2, file_format="PNG")

    @cached_property
    def _tensor(self) -> NDArray[np.float32]:
        shape = (1, 3, self.subject.side, self.subject.side)
        return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def _image(width: int, height: int, enlarged: int = 1, file_format: str = "JPEG") -> bytes:
    """Return a synthetic image of blurred blobs and noise, whose file is as large as a photograph's."""
    random = np.random.default_rng(0)
    size = (width // enlarged, height // enlarged)
    blobs = Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = random.normal(0, 6, (size[1], size[0], 3))
    image = Image.fromarray(np.clip(np.asarray(blobs) + grain, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.resize((width, height), Image.Resampling.NEAREST).save(file, file_format, quality=85)
    return file.getvalue()


def _binary(name: str, shape: tuple[int, ...], datatype: str, data: bytes, *outputs: str) -> Body:
    tensor = {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    output_tensors = [{"name": output, "parameters": {"binary_data": True}} for output in outputs]
    head = json.dumps({"inputs": [tensor], "outputs": output_tensors}).encode()
    return Body({"Content-Type": "application/octet-stream", JSON_SIZE: str(len(head))}, head + data)
