"""Start a peer's server, wait until it is ready, and stop it."""

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

MARK = "BENCH_SERVER"  # inherited by all processes of a server, also those in new sessions
START_S = 90.0
STOP_S = 5.0
POLL_S = 0.2


class ServerFailed(Exception):
    """A server did not start or stopped answering; the message is a short reason."""


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, request: Request
) -> Iterator[psutil.Process]:
    """Start a server, wait until it has answered the request, and yield its main process; raises ServerFailed.

    All of its processes are stopped at the end.
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
    """Wait until the request succeeds; raises ServerFailed with the reason of the last failure."""
    deadline = time.monotonic() + START_S
    while (reason := _failure(request)) is not None:
        if process is not None and (not process.is_running() or process.status() == psutil.STATUS_ZOMBIE):
            raise ServerFailed("its process exited during the start")
        if time.monotonic() > deadline:
            raise ServerFailed(f"not ready within {START_S:.0f} s: {reason}")
        time.sleep(POLL_S)


def driven(request: Request) -> Drive:
    """Return a function that measures the server with wrk; raises ServerFailed if the server stops answering."""

    def run(connections: int, seconds: int) -> Measured:
        wait_for(request)  # otherwise requests queued by the previous run would count against this one
        try:
            return drive(request, connections, seconds)
        except subprocess.SubprocessError:
            raise ServerFailed("wrk could not measure it") from None

    return run


def _failure(request: Request) -> str | None:
    """Return why the request failed, None if it succeeded."""
    http_request = urllib.request.Request(request.url, request.body.content, request.body.headers, method="POST")
    try:
        with urllib.request.urlopen(http_request, timeout=10) as response:
            return None if response.read() else "an empty response"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except OSError:
        return "no connection"


def _stop(process: psutil.Process, mark: str) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    psutil.wait_procs([process], timeout=STOP_S)
    while left := _marked(mark):
        for survivor in left:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
        psutil.wait_procs(left, timeout=STOP_S)


def _marked(mark: str) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes
