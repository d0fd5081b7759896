"""The steps `… served`: a model on an embedded stack, loaded over HTTP with 1 to 128 connections."""

import http.client
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.gpu.closed_loop import Call, Load, closed_loop
from benchmarks.inference.payloads import Case
from benchmarks.inference.server import ServerFailed
from benchmarks.inference.subjects import Subject
from benchmarks.inference.tidepool_stack import running
from benchmarks.inference.wrk import Request, drive
from benchmarks.training.child import main
from contract.models import METADATA_KEY, ModelCard

CONNECTIONS, FEW = (1, 8, 32, 128), (1, 8)
SECONDS, FEW_SECONDS = 4, 1
REPLICAS = 2  # on one card: one decodes while the other one computes
TIMEOUT_S = 30


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Return a window for each number of connections, whose times the GPU's samples are cut by."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the stack is stopped at the deadline
    try:
        return _served(request, "fp16")
    except ServerFailed:  # the model was not accepted: halves differ more between batches than vetting allows
        return _served(request, "fp32")


def _served(request: dict[str, Any], precision: str) -> dict[str, Any]:
    folder, rehearse = Path(request["folder"]), request["rehearse"]
    file = folder / f"{request['model']}.{precision}.onnx"
    case = Case(Subject(request["model"], file, side_of(file)), "jpeg")
    load = _wrk if shutil.which("wrk") else _threads
    windows = []
    with tempfile.TemporaryDirectory(dir=folder) as home, running(case, Path(home), REPLICAS) as stack:
        load(stack.request, 8, 1)  # warms up
        for connections in FEW if rehearse else CONNECTIONS:
            began = time.time()
            result = load(stack.request, connections, FEW_SECONDS if rehearse else SECONDS)
            windows.append({"connections": connections, "from": began, "to": time.time(), **vars(result)})
    generator = "wrk" if load is _wrk else "threads of one Python process, because wrk is not installed"
    return {"model": request["model"], "precision": precision, "generator": generator, "windows": windows}


def side_of(file: Path) -> int:
    """Return the side of the model's images, from the card in its file."""
    import onnx  # noqa: PLC0415  takes a moment

    entries = {entry.key: entry.value for entry in onnx.load(file, load_external_data=False).metadata_props}
    return ModelCard.model_validate_json(entries[METADATA_KEY]).preprocessing.image.size[0]


def _wrk(request: Request, connections: int, seconds: int) -> Load:
    measured = drive(request, connections, seconds)
    answers = round(measured.per_s * seconds)
    return Load(measured.per_s, measured.p50_ms, measured.p99_ms, answers, stable=not measured.failed)


def _threads(request: Request, connections: int, seconds: int) -> Load:
    """Without wrk: threads of this process, which is itself a limit at a few thousand requests a second."""
    return closed_loop(_client(request), connections, 1, seconds / 4, 4)


def _client(request: Request) -> Callable[[], Call]:
    url = urlsplit(request.url)

    def open_call() -> Call:
        connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_S)

        def call() -> None:
            connection.request("POST", url.path, request.body.content, dict(request.body.headers))
            response = connection.getresponse()
            response.read()
            if response.status != http.HTTPStatus.OK:
                raise RuntimeError(f"status {response.status}")

        return call

    return open_call


if __name__ == "__main__":
    main(measure)
