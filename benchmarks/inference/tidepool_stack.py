"""Tidepool as a contender: an embedded stack in a temporary home, started by `tidepool up`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.inference.contender import CORES, Contender, Drive
from benchmarks.inference.payloads import Body, Case
from benchmarks.inference.server import ServerFailed, driven, wait_for
from benchmarks.inference.wrk import Request
from tidepool.stack.home import Home
from tidepool.stack.ports import free_ports
from tidepool_client import Client, ClientError


@dataclass(frozen=True)
class Running:
    """A stack that serves the request."""

    home: Home
    url: str
    key: str
    request: Request


@contextmanager
def running(case: Case, folder: Path, replicas: int = CORES, *options: str) -> Iterator[Running]:
    """Run a stack with this many inference replicas that serves the case; raises ServerFailed.

    `options` are further ones of `tidepool up`.
    """
    home, (port,) = Home.at(folder / "home"), free_ports(1)
    environment = os.environ | {"TIDEPOOL_HOME": str(home.path), "TIDEPOOL_PORT": str(port)}
    try:
        _tidepool(environment, "up", f"--scale=inference={replicas}", *options)
        url, key = f"http://127.0.0.1:{port}", home.key_file.read_text().strip()
        _publish(case, url, key)
        request = _request(case, url, key)
        wait_for(request)
        yield Running(home, url, key, request)
    finally:
        _tidepool(environment, "down")


@contextmanager
def _open(case: Case, folder: Path, *options: str) -> Iterator[Drive]:
    with running(case, folder, CORES, *options) as stack:
        yield driven(stack.request)


def _request(case: Case, url: str, key: str) -> Request:
    name = case.subject.name
    if case.is_image:
        path, body = f"/v1/models/{name}/predict", case.raw
    else:
        path, body = f"/v2/models/{name}/infer", case.binary
    return Request(url + path, Body(body.headers | {"Authorization": f"Bearer {key}"}, body.content))


def _publish(case: Case, url: str, key: str) -> None:
    try:
        with Client(url, key) as client:
            client.jobs.wait(client.models.upload(case.subject.name, case.subject.file).id)
    except ClientError as error:
        raise ServerFailed(f"the model was not published: {error}") from error


def _tidepool(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "tidepool.cli.app", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise ServerFailed(lines[-1] if lines else f"`tidepool {arguments[0]}` failed")


@contextmanager
def _open_int8(case: Case, folder: Path) -> Iterator[Drive]:
    quantized = replace(case, subject=replace(case.subject, file=case.subject.int8))
    with _open(quantized, folder) as drive:
        yield drive


@contextmanager
def _open_two_gateways(case: Case, folder: Path) -> Iterator[Drive]:
    with _open(case, folder, "--gateways=2") as drive:
        yield drive


TIDEPOOL = Contender("tidepool", "", _open)
# For models that are so fast that one gateway is the limit.
TWO_GATEWAYS = Contender("tidepool", "two gateways", _open_two_gateways, lambda case: case.subject.name == "mlp")
# What a training chooses by default, so what its user gets; the other rows compare fp32 with fp32.
TIDEPOOL_INT8 = Contender("tidepool int8", "", _open_int8, lambda case: case.subject.int8 is not None and case.is_image)
