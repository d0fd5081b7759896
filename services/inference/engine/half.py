"""The only place that makes a graph of half precision."""

import hashlib
import os
import tempfile
from pathlib import Path

import structlog

from contract.errors import BadModel
from services.inference.engine.onnx_runtime import ort

DIGEST_BYTES = hashlib.sha256().digest_size

log = structlog.get_logger()


def halved(file: bytes, folder: Path | None) -> bytes:
    """The ONNX file with float16 between its inputs and outputs, which keep their types, its metadata too.

    ResNet-18 takes 2.4 s, so where there is a `folder` the result is kept in it, under the hash of the file and the
    version of ONNX Runtime; a damaged result is made anew. Raises BadModel for a graph that cannot be converted.
    """
    if folder is None:
        return _converted(file)
    path = folder / f"{hashlib.sha256(file).hexdigest()}-{ort.__version__}-fp16"
    half = _read(path)
    if half is None:
        half = _converted(file)
        _keep(half, path)
    return half


def _converted(file: bytes) -> bytes:
    # A replica on the CPU does without these.
    import onnx  # noqa: PLC0415
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    try:
        model = convert_float_to_float16(onnx.load_from_string(file), keep_io_types=True)
        half: bytes = model.SerializeToString()
    except Exception:  # noqa: BLE001  # the converter says not what it raises
        raise BadModel("the graph cannot be converted to half precision") from None
    return half


def _read(path: Path) -> bytes | None:
    """What was kept, or None if that is nothing or not what was written."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    digest, half = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
    return half if hashlib.sha256(half).digest() == digest else None


def _keep(half: bytes, path: Path) -> None:
    """All of it or nothing, whatever other replicas do; a disk that cannot take it costs only time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(half).digest() + half)
        os.replace(file.name, path)  # noqa: PTH105
    except OSError as error:
        log.warning("half precision not kept", reason=error.strerror)
