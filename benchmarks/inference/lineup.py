"""The compared servers and their settings."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.inference.contender import CORES, Contender, Drive
from benchmarks.inference.install import python_of, ready
from benchmarks.inference.limit import LIMIT
from benchmarks.inference.payloads import Body, Case
from benchmarks.inference.server import ServerFailed, driven, running
from benchmarks.inference.tidepool_stack import TIDEPOOL, TIDEPOOL_INT8, TWO_GATEWAYS
from benchmarks.inference.wrk import Request
from tidepool.stack.ports import free_ports

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Peer:
    """A peer: its command for a port and a folder, and its request path and body."""

    name: str
    command: Callable[[int, Path], list[str]]
    path: str
    body: Callable[[Case], Body]

    def contender(self, setting: str, batch: int) -> Contender:
        """Return the peer with a maximum batch size."""
        return Contender(self.name, setting, partial(self._open, batch))

    @contextmanager
    def _open(self, batch: int, case: Case, folder: Path) -> Iterator[Drive]:
        if not ready(self.name):
            raise ServerFailed("not installed")
        (port,) = free_ports(1)
        environment = {
            "PYTHONPATH": str(ROOT),
            "BENCH_MODEL": str(case.subject.file),
            "BENCH_PAYLOAD": case.payload,
            "BENCH_PORT": str(port),
            "BENCH_BATCH": str(batch),
            "BENCH_WORKERS": str(CORES),
            "BENTOML_DO_NOT_TRACK": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        command = [str(python_of(self.name)), *self.command(port, folder)]
        request = Request(f"http://127.0.0.1:{port}{self.path}", self.body(case))
        with running(command, environment, folder / "log", request):
            yield driven(request)


def _raw(case: Case) -> Body:
    return case.raw


def _opaque(case: Case) -> Body:
    return Body({"Content-Type": "application/octet-stream"}, case.raw.content)


def _module(name: str, *arguments: str) -> list[str]:
    return ["-m", f"benchmarks.inference.peers.{name}", *arguments]


def _mosec(port: int, folder: Path) -> list[str]:
    return _module("mosec", "--address=127.0.0.1", f"--port={port}", f"--path={folder}", "--log-level=warning")


def _bentoml(port: int, folder: Path) -> list[str]:
    service = "benchmarks.inference.peers.bentoml:Inference"
    return ["-m", "bentoml", "serve", service, "--host=127.0.0.1", f"--port={port}"]


def _mlserver(port: int, folder: Path) -> list[str]:
    grpc_port, metrics_port = free_ports(2, exclude=port)
    ports = {"http_port": port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    settings = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, **ports}
    implementation = "benchmarks.inference.peers.mlserver.Inference"
    model = {"name": "model", "implementation": implementation, "max_batch_size": 32, "max_batch_time": 0.001}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(python_of("mlserver").with_name("mlserver")), "start", str(folder)]


def _plain(name: str) -> Callable[[int, Path], list[str]]:
    return lambda port, folder: _module(name)


_INFER = "/v2/models/model/infer"
_MOSEC = Peer("mosec", _mosec, "/inference", _opaque)

CONTENDERS = (
    TIDEPOOL,
    TWO_GATEWAYS,
    TIDEPOOL_INT8,
    _MOSEC.contender("no batches", 1),
    _MOSEC.contender("batches of 8", 8),
    _MOSEC.contender("batches of 32", 32),
    Peer("triton", _plain("triton"), _INFER, lambda case: case.binary).contender("", 32),
    Peer("litserve", _plain("litserve"), "/predict", _opaque).contender("", 32),
    Peer("mlserver", _mlserver, _INFER, lambda case: case.json).contender("", 32),
    Peer("bentoml", _bentoml, "/predict", _raw).contender("", 1),
    Peer("ray", _plain("ray"), "/", _opaque).contender("", 32),
    LIMIT,
)
OURS = (TIDEPOOL, TWO_GATEWAYS, TIDEPOOL_INT8, LIMIT)
PEERS = tuple(dict.fromkeys(contender.server for contender in CONTENDERS if contender not in OURS))
