"""A model version as a zip that works without Tidepool."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.artifacts import ObjectRef
from contract.images import Preprocessing
from contract.models import Output
from contract.training import ModelManifest
from services.gateway.model_files.predict_script import README, script
from services.storage.objects import Objects

CHUNK = 2**18
REQUIREMENTS = "numpy>=1.26\nonnxruntime>=1.20\npillow>=10.1\n"
WRITTEN = (1980, 1, 1, 0, 0, 0)  # of every entry, so that equal versions give equal zips


class _Pipe:
    """A file that can only be written to and forgets what is taken from it."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        data, self._chunks = b"".join(self._chunks), []
        return data


def files_of(manifest: ModelManifest, card: str) -> dict[str, str]:
    """Return the texts beside the model, by name; `predict.py` only for a classifier of images."""
    files = {"card.md": card, "requirements.txt": REQUIREMENTS}
    if manifest.labels:
        files["labels.json"] = json.dumps(manifest.labels, ensure_ascii=False, indent=1)
    if manifest.preprocessing is not None:
        files["preprocessing.json"] = json.dumps(_settings(manifest.preprocessing, manifest.output), indent=1)
        if manifest.labels:
            files["predict.py"] = script(manifest.preprocessing.image.resize, manifest.output)
            files["README.md"] = README
    return files


def _settings(preprocessing: Preprocessing, output: Output) -> dict[str, Any]:
    """Return the preprocessing, and what `predict.py` needs of it: factor, offset, axes and shape."""
    channels, height, width = preprocessing.image.shape
    statistics = list(zip(preprocessing.mean, preprocessing.std, strict=True))
    fields = preprocessing.model_dump(mode="json")
    return {
        **fields.pop("image"),
        **fields,
        "output": output,
        "factor": [preprocessing.scale / (255 * std) for _, std in statistics],
        "offset": [-mean / std for mean, std in statistics],
        "axes": [2, 0, 1] if preprocessing.layout == "NCHW" else [0, 1, 2],
        "shape": {
            "NCHW": [channels, height, width],
            "NHWC": [height, width, channels],
            "NHW": [height, width],
        }[preprocessing.layout],
    }


def exported(objects: Objects, model: ObjectRef, texts: Mapping[str, str]) -> Iterator[bytes]:
    """Return the chunks of a zip of `model.onnx` and the texts. The model's hash is checked before the first chunk.

    Raises Corrupt, ObjectsUnavailable.
    """
    folder = TemporaryDirectory(prefix="export-")  # removed with the iterator
    path = Path(folder.name) / "model.onnx"
    try:
        objects.fetch(model, path)
    except BaseException:
        folder.cleanup()
        raise
    return _zipped(folder, path, texts)


def _zipped(folder: "TemporaryDirectory[str]", path: Path, texts: Mapping[str, str]) -> Iterator[bytes]:
    pipe = _Pipe()
    with folder, path.open("rb") as source, zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, WRITTEN), text, zipfile.ZIP_DEFLATED)
        yield pipe.take()
        with archive.open(zipfile.ZipInfo(path.name, WRITTEN), "w", force_zip64=True) as entry:
            while chunk := source.read(CHUNK):
                entry.write(chunk)
                yield pipe.take()
        archive.close()
        yield pipe.take()
