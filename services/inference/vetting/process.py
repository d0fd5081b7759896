"""The only place that has a model looked at in a throw-away process, and makes a reason of how that ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from contract.errors import BadModel
from services.inference.vetting.findings import Findings, Order, Verdict

EXAMINER = "services.inference.vetting.examine"
LOOK_S = 0.2

# What Python and ONNX Runtime need; the secrets of the service are in other variables.
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
# One thread, as a process of several cannot enter a user namespace.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

log = structlog.get_logger()


def examined(order: Order, wall_s: float, watch: Callable[[], None]) -> Findings:
    """What the file of an order is found to be; raises BadModel with the reason of a refusal.

    `watch()` is called now and then, and may end the work by what it raises.
    """
    asked, answer, told = (order.file.with_name(name) for name in ("order.json", "verdict.json", "examiner.log"))
    asked.write_text(order.model_dump_json())
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _ONE_THREAD
    with told.open("wb") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", EXAMINER, str(asked), str(answer)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
        )
    try:
        status = _waited(process, wall_s, watch)
    finally:
        process.kill()
        process.wait()
    if status == 0:
        return _said(Verdict.model_validate_json(answer.read_text()))
    log.warning("the examiner died", status=status, said=_end_of(told))
    if status in {None, -signal.SIGXCPU}:
        raise BadModel(f"the model took more than {order.cpu_s} s of CPU or {wall_s:g} s to be tried")
    raise BadModel("the process that tried the model died: the model crashes ONNX Runtime or needs too much memory")


def _waited(process: subprocess.Popen[bytes], wall_s: float, watch: Callable[[], None]) -> int | None:
    """The exit status, None for a process that still runs when its time is over."""
    deadline = time.monotonic() + wall_s
    while time.monotonic() < deadline:
        try:
            return process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            watch()
    return process.poll()


def _said(verdict: Verdict) -> Findings:
    if verdict.findings is None:
        raise BadModel(verdict.refused)
    return verdict.findings


def _end_of(file: Path) -> str:
    with file.open("rb") as said:
        said.seek(max(0, file.stat().st_size - 2000))
        return said.read().decode(errors="replace")
