"""The only place that starts a peer's server, waits until it answers, and stops it."""

import os
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.inference.contender import Drive
from benchmarks.inference.wrk import Measured, Request, drive

MARK = "BENCH_SERVER"  # a server may start processes in sessions of their own; they all inherit this variable
START_S = 90.0
STOP_S = 5.0
LOOK_S = 0.2


class ServerFailed(Exception):
    """A server did not come up, or does not answer; says why in a few words."""


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, request: Request
) -> Iterator[psutil.Process]:
    """The first process of a server that has answered the request; raises ServerFailed.

    Nothing that it started is left afterwards.
    """
    mark = uuid.uuid4().hex
    with log.open("wb") as output:
        process = psutil.Popen(
            command,
            env=os.environ | environment | {MARK: mark},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(request, process)
        yield process
    finally:
        _stop(process, mark)


def wait_for(request: Request, process: psutil.Process | None = None) -> None:
    """Return once the request has a right answer; raises ServerFailed with the last wrong one."""
    deadline = time.monotonic() + START_S
    while (reason := _refusal(request)) is not None:
        if process is not None and (not process.is_running() or process.status() == psutil.STATUS_ZOMBIE):
            raise ServerFailed("its process ended while it started")
        if time.monotonic() > deadline:
            raise ServerFailed(f"no right answer within {START_S:.0f} s: {reason}")
        time.sleep(LOOK_S)


def driven(request: Request) -> Drive:
    """Drives a server that answers the request; raises ServerFailed if it does so no longer."""

    def run(connections: int, seconds: int) -> Measured:
        wait_for(request)  # else what the run before left in its queues would count against this one
        try:
            return drive(request, connections, seconds)
        except subprocess.SubprocessError:
            raise ServerFailed("wrk could not measure it") from None

    return run


def _refusal(request: Request) -> str | None:
    """Why there is no right answer, None if there is one."""
    asked = urllib.request.Request(request.url, request.body.content, request.body.headers, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return None if answer.read() else "an empty answer"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except OSError:
        return "no connection"


def _stop(process: psutil.Process, mark: str) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    psutil.wait_procs([process], timeout=STOP_S)
    while left := _marked(mark):
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(left, timeout=STOP_S)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
