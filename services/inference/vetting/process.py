"""Examine a model in a separate process, and convert its verdict or its exit status to findings or an error."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from contract.errors import BadModel
from services.inference.vetting.findings import ExaminerRequest, Findings, Verdict

EXAMINER = "services.inference.vetting.examine"
POLL_S = 0.2

# What Python and ONNX Runtime need; the service's secrets are in other variables.
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
# A process with several threads cannot enter a user namespace.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

log = structlog.get_logger()


def run_examiner(request: ExaminerRequest, wall_s: float, watch: Callable[[], None]) -> Findings:
    """Examine a file and return the findings; raises BadModel with the reason for a rejection.

    `watch()` is called several times per second and may raise to stop.
    """
    file, samples = request.file.resolve(), request.samples and request.samples.resolve()
    request = request.model_copy(update={"file": file, "samples": samples})
    names = ("request.json", "verdict.json", "examiner.log")
    request_file, verdict_file, output = (request.file.with_name(name) for name in names)
    request_file.write_text(request.model_dump_json())
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD
    with output.open("wb") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", EXAMINER, str(request_file), str(verdict_file)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
        )
    try:
        status = _wait(process, wall_s, watch)
    finally:
        process.kill()
        process.wait()
    if status == 0:
        return _findings(Verdict.model_validate_json(verdict_file.read_text()))
    log.warning("the examiner died", status=status, output=_end_of(output))
    if status in {None, -signal.SIGXCPU}:
        raise BadModel(f"the trial run took more than {request.cpu_s} s of CPU time or {wall_s:g} s of wall-clock time")
    raise BadModel("the trial run crashed: the model crashes ONNX Runtime or needs too much memory")


def _wait(process: subprocess.Popen[bytes], wall_s: float, watch: Callable[[], None]) -> int | None:
    """Return the exit status, or None if the process still runs after `wall_s`."""
    deadline = time.monotonic() + wall_s
    while time.monotonic() < deadline:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            watch()
    return process.poll()


def _findings(verdict: Verdict) -> Findings:
    if verdict.findings is None:
        raise BadModel(verdict.rejection)
    return verdict.findings


def _end_of(file: Path) -> str:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 2000))
        return stream.read().decode(errors="replace")
