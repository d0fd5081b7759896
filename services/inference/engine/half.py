"""Convert ONNX graphs to half precision, with a cache of the results."""

import hashlib
import os
import tempfile
from pathlib import Path

import structlog

from contract.errors import BadModel
from services.inference.engine.onnx_runtime import ort

DIGEST_BYTES = hashlib.sha256().digest_size

log = structlog.get_logger()


def to_half_precision(file: bytes, folder: Path | None) -> bytes:
    """Convert the ONNX file to compute in float16; its inputs and outputs keep their types, and its metadata stays.

    ResNet-18 takes 2.4 s, so with a `folder` the result is cached in it by the hash of the file and the version of
    ONNX Runtime. A damaged result is made again. Raises BadModel for a graph that cannot be converted.
    """
    if folder is None:
        return _converted(file)
    path = folder / f"{hashlib.sha256(file).hexdigest()}-{ort.__version__}-fp16"
    half = _load(path)
    if half is None:
        half = _converted(file)
        _save(half, path)
    return half


def _converted(file: bytes) -> bytes:
    # Imported late: a replica on the CPU does not need them.
    import onnx  # noqa: PLC0415
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    try:
        model = convert_float_to_float16(onnx.load_from_string(file), keep_io_types=True)
        half: bytes = model.SerializeToString()
    except Exception:  # noqa: BLE001  # the converter does not document what it raises
        raise BadModel("the graph cannot be converted to half precision") from None
    return half


def _load(path: Path) -> bytes | None:
    """Return the cached graph, or None if there is none or it is damaged."""
    try:
        contents = path.read_bytes()
    except OSError:
        return None
    digest, half = contents[:DIGEST_BYTES], contents[DIGEST_BYTES:]
    return half if hashlib.sha256(half).digest() == digest else None


def _save(half: bytes, path: Path) -> None:
    """Cache the graph atomically, as other replicas may write it too; a failed write costs only time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(half).digest() + half)
        os.replace(file.name, path)  # noqa: PTH105
    except OSError as error:
        log.warning("cannot cache the half-precision graph", reason=error.strerror)
