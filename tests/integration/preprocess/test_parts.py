"""Replicas share the parts of one job, also one that joins in the middle."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from contract.artifacts import Bucket
from contract.jobs import JobKind, JobState, PreprocessRequest, PreprocessSpec
from contract.uploads import UploadSource
from runtime.broker import Broker, celery_app
from runtime.settings import BrokerSettings
from runtime.stores import Stores
from services.storage.objects import S3Objects
from services.storage.reconciler import Reconciler
from services.storage.session import Database
from services.storage.tables import jobs
from tests.pictures import class_folders, zipped
from tests.servers import S3Server, Server

PATIENCE_S = 90.0
PARTS = 40

Start = Callable[[], None]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidepool.db"


@pytest.fixture
def stores(database: Database, objects: S3Objects) -> Stores:
    return Stores(database, objects)


@pytest.fixture
def start(database_url: str, redis: Server, s3: S3Server, tmp_path: Path) -> Iterator[Start]:
    """Starts one more replica of the preprocess pool."""
    environment = os.environ | {
        "TIDEPOOL_DATABASE_URL": database_url,
        "TIDEPOOL_BROKER_URL": redis.url,
        "TIDEPOOL_S3_ENDPOINT": s3.url,
        "TIDEPOOL_S3_ACCESS_KEY": s3.access_key,
        "TIDEPOOL_S3_SECRET_KEY": s3.secret_key,
        "TIDEPOOL_SCRATCH": str(tmp_path),
        "TIDEPOOL_PART_PICTURES": "2",
    }
    processes: list[subprocess.Popen[bytes]] = []

    def run() -> None:
        with (tmp_path / f"replica-{len(processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", "services.preprocess.main"]
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    yield run
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


@pytest.fixture
def sweep(database: Database, redis: Server) -> Iterator[None]:
    """Relays bells in the background."""
    broker = Broker(celery_app(BrokerSettings.model_validate({"url": redis.url})))
    over = threading.Event()

    def relay() -> None:
        while not over.wait(0.1):
            Reconciler(database).relay(broker.ring)

    thread = threading.Thread(target=relay)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("sweep")
def test_a_replica_that_joins_takes_parts(stores: Stores, start: Start, tmp_path: Path) -> None:
    # given one replica that is busy with the first parts
    archive = stores.objects.put(Bucket.UPLOADS, "upload-1", zipped(tmp_path / "pets.zip", class_folders(count=PARTS)))
    stores.uploads.add("pets.zip", archive)
    start()
    spec = PreprocessSpec(dataset="pets", source=UploadSource(upload="upload-1"))
    job = stores.jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))
    until(lambda: done(stores) > 0)

    # when another one joins
    start()

    # then both have done parts at the end, each part was done once, and nothing is missing
    until(lambda: stores.jobs.get(job.id).state.terminal)
    finished = stores.jobs.get(job.id)
    assert (finished.state, finished.attempt) == (JobState.SUCCEEDED, 1)
    assert finished.result is not None
    assert sum(finished.result["counts"].values()) == 2 * PARTS
    by_worker = parts_by_worker(stores)
    assert len(by_worker) == 2, by_worker
    assert sum(by_worker.values()) == PARTS


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def parts_by_worker(stores: Stores) -> dict[str, int]:
    """How many parts each worker has finished."""
    query = select(jobs.c.worker).where(jobs.c.parent_id.is_not(None), jobs.c.state == "succeeded")
    with stores.database.read() as connection:
        return Counter(connection.execute(query).scalars())


def done(stores: Stores) -> int:
    return sum(parts_by_worker(stores).values())
