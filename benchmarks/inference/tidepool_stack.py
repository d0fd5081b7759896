"""Tidepool as a contender: the embedded stack as `tidepool up` starts it, with a home of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.inference.contender import CORES, Contender, Drive
from benchmarks.inference.payloads import Body, Case
from benchmarks.inference.server import ServerFailed, wait_for
from benchmarks.inference.wrk import Request, drive
from tidepool.home import Home
from tidepool.stack.components import Plan
from tidepool.stack.ports import free_ports


@dataclass(frozen=True)
class Running:
    """A stack that answers the request."""

    home: Home
    request: Request


@contextmanager
def running(case: Case, folder: Path) -> Iterator[Running]:
    """A stack with one inference replica a core that serves the case; raises ServerFailed."""
    home, (port,) = Home.at(folder / "home"), free_ports(1)
    environment = os.environ | {"TIDEPOOL_HOME": str(home.path), "TIDEPOOL_PORT": str(port)}
    try:
        _run(["-m", "tidepool.cli", "up", f"--scale=inference={CORES}"], environment)
        plan = Plan.load(home.plan_file)
        (gateway,) = (component for component in plan.components if component.role == "gateway")
        publish = ["-m", "benchmarks.inference.publish", case.subject.name, str(case.subject.file)]
        _run(publish, environment | gateway.environment)
        request = _request(case, plan.url, home.key_file.read_text().strip())
        wait_for(request)
        yield Running(home, request)
    finally:
        _run(["-m", "tidepool.cli", "down"], environment)


@contextmanager
def _open(case: Case, folder: Path) -> Iterator[Drive]:
    with running(case, folder) as stack:
        yield partial(drive, stack.request)


def _request(case: Case, url: str, key: str) -> Request:
    name = case.subject.name
    if case.payload == "jpeg":
        path, body = f"/v1/models/{name}/predict", case.raw
    else:
        path, body = f"/v2/models/{name}/infer", case.binary
    return Request(url + path, Body(body.headers | {"Authorization": f"Bearer {key}"}, body.content))


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise ServerFailed(said[0] if said else f"{arguments[1]} failed")


TIDEPOOL = Contender("tidepool", "", _open)
