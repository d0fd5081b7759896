"""The steps, each a process of its own with a deadline, and the limit of all of them together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.card import Sampler

ROOT = Path(__file__).parents[2]
LIMIT_S = 440.0  # of all steps; with the end of the last one, under eight minutes
GRACE_S = 30.0  # of a step that is stopped
LEAST_S = 5.0  # with less time left, a step is not begun
TAIL = 3  # lines of the output of a step that has failed


@dataclass(frozen=True)
class Step:
    """A module that gets the files of its request and its result (benchmarks.training.child), and `limit_s` seconds.

    `needs` names the step without whose result it cannot run.
    """

    name: str
    module: str
    limit_s: float
    request: dict[str, Any] = field(default_factory=dict)
    needs: str | None = None


@dataclass(frozen=True)
class Result:
    """What a step has measured, or the reason why not; with the use of the GPU meanwhile."""

    step: str
    seconds: float
    value: dict[str, Any] | None = None
    error: str | None = None
    busy: float | None = None
    peak_bytes: int | None = None


def steps(data: Path | None, rehearse: bool) -> tuple[Step, ...]:
    """Return the steps in their order; what matters most comes first. A rehearsal is small, and on the processor."""
    common = {"rehearse": rehearse, "data": None if data is None else str(data.resolve())}
    models = ("resnet18", "resnet50")
    return (
        Step("hardware", "benchmarks.gpu.hardware", 40, common),
        Step("models", "benchmarks.gpu.models", 40, common),
        Step("resnet18 engine", "benchmarks.gpu.engines", 70, common | {"model": models[0]}, "models"),
        Step("resnet18 served", "benchmarks.gpu.served", 110, common | {"model": models[0]}, "models"),
        Step("training", "benchmarks.gpu.training", 150, common),
        Step("variants", "benchmarks.gpu.variants", 60, common, "training"),
        Step("resnet50 engine", "benchmarks.gpu.engines", 80, common | {"model": models[1]}, "models"),
        Step("resnet50 served", "benchmarks.gpu.served", 80, common | {"model": models[1]}, "models"),
        Step("tensorrt", "benchmarks.gpu.engines", 90, common | {"model": models[0], "tensorrt": True}, "models"),
    )


def run_all(chosen: Sequence[Step], folder: Path, sampler: Sampler, limit_s: float = LIMIT_S) -> Iterator[Result]:
    """Run the steps one after another within the limit; yield each result as soon as it is there.

    `folder` is passed on to the steps, which leave there what later ones need.
    """
    ends, failed = time.monotonic() + limit_s, set[str]()
    for step in chosen:
        left = ends - time.monotonic()
        if step.needs in failed:
            result = Result(step.name, 0.0, error=f"it needs the step {step.needs}, which failed")
        elif left < LEAST_S:
            result = Result(step.name, 0.0, error=f"no time was left of the {limit_s:.0f} s")
        else:
            result = _run(step, folder, sampler, min(step.limit_s, left))
        if result.error is not None:
            failed.add(step.name)
        yield result


def _run(step: Step, folder: Path, sampler: Sampler, limit_s: float) -> Result:
    request, answer = folder / "request.json", folder / "result.json"
    request.write_text(json.dumps(step.request | {"folder": str(folder), "limit_s": limit_s}))
    answer.unlink(missing_ok=True)
    log = folder / "step.log"
    began, started = time.time(), time.monotonic()
    error = _finished([sys.executable, "-m", step.module, str(request), str(answer)], log, limit_s)
    seconds, usage = time.monotonic() - started, sampler.usage(began, time.time())
    value = json.loads(answer.read_text()) if error is None else None
    if value is not None:
        value["windows"] = [
            window | vars(sampler.usage(window["from"], window["to"])) for window in value.get("windows", ())
        ]
    return Result(step.name, seconds, value, error, usage.busy, usage.peak_bytes)


def _finished(command: Sequence[str], log: Path, limit_s: float) -> str | None:
    """Run a command; return why it has failed, or None. At the deadline, it and all that it started are killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return f"not done within {limit_s:.0f} s"
    finally:
        _kill(process)
    lines = log.read_text(errors="replace").strip().splitlines()
    return None if code == 0 else f"exit status {code}: {' / '.join(lines[-TAIL:])}"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Stop the step's group: SIGTERM, so that it can stop what it started, and after GRACE_S SIGKILL."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
