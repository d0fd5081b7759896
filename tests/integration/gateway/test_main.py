"""SIGTERM ends the gateway's process, even while a client reads a stream."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.access import DEFAULT_PROJECT, Scope
from contract.jobs import Job
from services.storage.access.keys import Keys
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from tests.examples import PREPROCESS_REQUEST
from tests.support.servers import free_port

START_S = 30.0
GRACE_S = 25.0  # a supervisor kills after 30 seconds


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidepool.db"


@pytest.fixture
def gateway(database: Database, database_url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its URL; the broker and the object store are down, which it tolerates."""
    port, unused_port = free_port(), free_port()
    environment = {
        "TIDEPOOL_DATABASE_URL": database_url,
        "TIDEPOOL_BROKER_URL": f"redis://127.0.0.1:{unused_port}/0",
        "TIDEPOOL_S3_ENDPOINT": f"http://127.0.0.1:{unused_port}",
        "TIDEPOOL_S3_ACCESS_KEY": "access",
        "TIDEPOOL_S3_SECRET_KEY": "secret",
        "TIDEPOOL_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "services.gateway.main"], env=os.environ | environment)
    yield process, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def client(database: Database, gateway: tuple[subprocess.Popen[bytes], str]) -> Iterator[httpx.Client]:
    """A client of the gateway, once it answers."""
    process, url = gateway
    secret = Keys(database, DEFAULT_PROJECT).create("test", frozenset({Scope.READ})).secret
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=GRACE_S) as client:
        deadline = time.monotonic() + START_S
        while True:
            try:
                client.get("/livez")
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield client


@pytest.fixture
def job(database: Database) -> Job:
    return Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)


def test_sigterm_closes_open_streams_and_ends_the_process(
    gateway: tuple[subprocess.Popen[bytes], str], client: httpx.Client, job: Job
) -> None:
    # given a client that reads the events of a job
    process, _ = gateway
    with client.stream("GET", f"/v1/jobs/{job.id}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "id: 1"

        # when
        process.send_signal(signal.SIGTERM)

        # then the stream is cut, so that the client resumes elsewhere, and the process has ended
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
        assert process.wait(GRACE_S) in {0, -signal.SIGTERM}
