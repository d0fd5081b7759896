"""Two gateway processes on one port: both answer, no client notices that one is replaced, and state is shared."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from contract.access import DEFAULT_PROJECT, Role
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from services.storage.access.keys import Keys
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.migrate import migrate
from tests.examples import PREPROCESS_REQUEST
from tests.support.servers import free_port

START_S = 60.0
STOP_S = 30.0


@dataclass
class Gateways:
    """The supervisor of two gateways; each has a port of its own beside the one that they share."""

    supervisor: psutil.Popen
    port: int
    own: tuple[int, int]
    grpc_port: int
    metrics: tuple[int, int]
    database: Database

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> dict[int, int]:
        """The process of each gateway that listens on its own port."""
        listening = {}
        for child in self.supervisor.children():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                for connection in child.net_connections():
                    if connection.status == psutil.CONN_LISTEN and connection.laddr.port in self.own:
                        listening[connection.laddr.port] = child.pid
        return listening


def two_ports() -> tuple[int, int]:
    """Return two free ports in a row."""
    while True:
        first = free_port()
        with socket.socket() as probe:
            if first < 65535 and probe.connect_ex(("127.0.0.1", first + 1)) != 0:
                return first, first + 1


def until(done: Callable[[], bool], limit: float = START_S) -> None:
    deadline = time.monotonic() + limit
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    """The broker and the object store are down, which the gateways tolerate."""
    url = f"sqlite:///{tmp_path_factory.mktemp('gateways')}/tidepool.db"
    database = Database.connect(url)
    migrate(database)
    port, unused, grpc_port, own, metrics = free_port(), free_port(), free_port(), two_ports(), two_ports()
    environment = {
        "TIDEPOOL_DATABASE_URL": url,
        "TIDEPOOL_BROKER_URL": f"redis://127.0.0.1:{unused}/0",
        "TIDEPOOL_S3_ENDPOINT": f"http://127.0.0.1:{unused}",
        "TIDEPOOL_S3_ACCESS_KEY": "access",
        "TIDEPOOL_S3_SECRET_KEY": "secret",
        "TIDEPOOL_PORT": str(port),
        "TIDEPOOL_GRPC_PORT": str(grpc_port),
        "TIDEPOOL_PROBE_PORT": str(own[0]),
        "TIDEPOOL_METRICS_PORT": str(metrics[0]),
        "TIDEPOOL_GATEWAYS": "2",
    }
    supervisor = psutil.Popen([sys.executable, "-m", "services.gateway.processes"], env=os.environ | environment)
    gateways = Gateways(supervisor, port, own, grpc_port, metrics, database)
    try:
        until(lambda: len(gateways.pids()) == 2)
        yield gateways
    finally:
        supervisor.terminate()
        status = supervisor.wait(STOP_S)
        database.engine.dispose()
    assert status == 0


@pytest.fixture(scope="module")
def key(gateways: Gateways) -> str:
    return Keys(gateways.database, DEFAULT_PROJECT).create("test", Role.ADMIN).secret


@pytest.fixture(scope="module")
def each(gateways: Gateways, key: str) -> Iterator[list[httpx.Client]]:
    """A client of each process, at its own port."""
    headers = {"Authorization": f"Bearer {key}"}
    with ExitStack() as clients:
        yield [
            clients.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30))
            for port in gateways.own
        ]


def answered(port: int) -> float:
    """How many requests a process has counted, by its own metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    lines = (line for line in text.splitlines() if line.startswith("tidepool_http_requests_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_both_processes_answer_at_the_port_and_count_for_themselves(gateways: Gateways) -> None:
    before = [answered(port) for port in gateways.metrics]

    for _ in range(64):  # each is a connection of its own; that all go to one process has a probability of 1e-19
        assert httpx.get(f"{gateways.url}/livez").status_code == 200

    counts = [answered(port) - start for port, start in zip(gateways.metrics, before, strict=True)]
    assert min(counts) > 0
    assert sum(counts) == 64


def test_a_job_of_one_process_is_followed_at_the_other(gateways: Gateways, each: list[httpx.Client]) -> None:
    job = Jobs(gateways.database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)

    with each[0].stream("GET", f"/v1/jobs/{job.id}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "id: 1"
        assert each[1].post(f"/v1/jobs/{job.id}/cancel").status_code == 202
        assert any("cancelled" in line for line in lines)


def test_a_link_works_once_and_its_session_everywhere(gateways: Gateways, each: list[httpx.Client]) -> None:
    path = each[0].post("/console/links").json()["path"]
    opened = {"Host": f"localhost:{gateways.port}", "Sec-Fetch-Site": "none"}
    first, second = (f"http://127.0.0.1:{port}" for port in gateways.own)

    signed_in = httpx.get(f"{second}{path}", headers=opened)

    assert signed_in.status_code == 303
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    homes = [httpx.get(url, headers={**opened, "Cookie": cookie}) for url in (f"{first}/", f"{second}/")]
    assert [home.status_code for home in homes] == [200, 200]
    assert httpx.get(f"{first}/", headers=opened).status_code != 200
    assert httpx.get(f"{first}{path}", headers=opened).status_code == 401


def test_a_revoked_key_is_refused_by_the_other_process_within_seconds(
    gateways: Gateways, each: list[httpx.Client]
) -> None:
    keys = Keys(gateways.database, DEFAULT_PROJECT)
    other = keys.create("other", Role.VIEWER)
    headers = {"Authorization": f"Bearer {other.secret}"}
    assert [client.get("/v1/me", headers=headers).status_code for client in each] == [200, 200]

    assert each[0].delete(f"/v1/keys/{other.id}").status_code == 204

    assert each[0].get("/v1/me", headers=headers).status_code == 401
    until(lambda: each[1].get("/v1/me", headers=headers).status_code == 401, 5.0)


@dataclass
class Visitor:
    """Opens a connection for each request, one after the other, until it is stopped."""

    url: str
    counts: int = 0
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                status = httpx.get(f"{self.url}/livez", timeout=10).status_code
            except httpx.TransportError as error:
                self.failures.append(repr(error))
            else:
                self.counts += 1
                if status != 200:
                    self.failures.append(str(status))


def visited(url: str, action: Callable[[], None]) -> list[Visitor]:
    """Call an action while three visitors open connections."""
    visitors = [Visitor(url) for _ in range(3)]
    threads = [threading.Thread(target=visitor.run) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        action()
    finally:
        for visitor in visitors:
            visitor.stopped.set()
        for thread in threads:
            thread.join()
    return visitors


def ready(channel_port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{channel_port}") as channel:
        live: bool = GRPCInferenceServiceStub(channel).ServerLive(messages.ServerLiveRequest(), timeout=10).live
        return live


def test_no_client_notices_that_a_process_is_replaced(gateways: Gateways) -> None:
    before = gateways.pids()
    first = before[gateways.own[0]]

    def replace() -> None:
        os.kill(first, signal.SIGTERM)
        until(lambda: first not in gateways.pids().values())
        assert ready(gateways.grpc_port)  # while one is away
        until(lambda: len(gateways.pids()) == 2)
        time.sleep(1)

    visitors = visited(gateways.url, replace)

    assert [visitor.failures for visitor in visitors] == [[], [], []]
    assert min(visitor.counts for visitor in visitors) > 10
    after = gateways.pids()
    assert after[gateways.own[1]] == before[gateways.own[1]]
    assert after[gateways.own[0]] != first


def test_a_killed_process_is_restarted_and_no_connection_is_refused(gateways: Gateways) -> None:
    before = gateways.pids()
    second = before[gateways.own[1]]

    def kill() -> None:
        os.kill(second, signal.SIGKILL)
        until(lambda: gateways.pids().get(gateways.own[1], second) != second)

    visitors = visited(gateways.url, kill)

    # what the process had accepted is lost with it
    failures = [failure for visitor in visitors for failure in visitor.failures]
    assert not [failure for failure in failures if "refused" in failure]
    assert len(failures) <= 3
    assert gateways.pids()[gateways.own[0]] == before[gateways.own[0]]
    assert ready(gateways.grpc_port)


def test_a_port_that_another_program_uses_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = {
            "TIDEPOOL_DATABASE_URL": f"sqlite:///{tmp_path}/tidepool.db",
            "TIDEPOOL_BROKER_URL": "redis://127.0.0.1:1/0",
            "TIDEPOOL_S3_ENDPOINT": "http://127.0.0.1:1",
            "TIDEPOOL_S3_ACCESS_KEY": "access",
            "TIDEPOOL_S3_SECRET_KEY": "secret",
            "TIDEPOOL_PORT": port,
            "TIDEPOOL_GATEWAYS": "2",
        }
        command = [sys.executable, "-m", "services.gateway.processes"]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
        )

    assert done.returncode == 1
    assert f"The gateway cannot listen on 127.0.0.1, port {port}" in done.stderr
