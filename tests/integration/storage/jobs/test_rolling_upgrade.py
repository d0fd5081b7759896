"""A trainer of the release before projects, which publishes features after the database was migrated.

Its INSERT names the primary key that the table had (`ON CONFLICT (dataset, key)`), which no index can satisfy now, as
two projects may have a dataset of the same name. So it fails as in an outage: nothing of its transaction is kept, and
when it has tried for two minutes or is stopped, the job waits for a replica of the new release.
"""

import json

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, insert, select, text

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable
from contract.jobs import JobKind, JobState
from contract.training import FeatureFile
from services.storage import tables
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import BACKOFF_S, Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.migrate import config, migrate
from services.storage.sweep.reconciler import Reconciler
from tests.examples import MODEL_MANIFEST, ONNX_FILE, WHEN
from tests.examples.jobs import TRAIN_SPEC
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock

LAST_WITHOUT_PROJECTS = "0013"
LEASED = Lease("train", 1)
JOB = {
    "id": LEASED.job_id,
    "kind": "train",
    "spec": TRAIN_SPEC.model_dump(mode="json"),
    "state": "running",
    "lease_until": WHEN + LEASE,
    "dataset": "pets",
    "model": "pet-cnn",
    "priority": 0,
    "attempt": 1,
    "failures": 0,
    "max_attempts": 3,
    "fence": LEASED.fence,
    "run_at": WHEN,
    "rung_at": WHEN,
    "cancel_requested": False,
    "progress": 0.5,
    "progress_message": "epoch 1 of 2",
    "created_at": WHEN,
}


@pytest.fixture
def database(database_url: str, clock: FakeClock) -> Database:
    """A database of the previous release, in which a trainer runs a job."""
    database = Database.connect(database_url, clock)
    with database.engine.connect() as connection:
        command.upgrade(config(connection), LAST_WITHOUT_PROJECTS)
        older = MetaData()
        older.reflect(connection)
        connection.execute(insert(older.tables["datasets"]).values(name="pets", last_version=1, created_at=WHEN))
        connection.execute(insert(older.tables["jobs"]).values(JOB))
        connection.commit()
    return database


def finish_as_before(connection: Connection) -> None:
    """Run the first statements by which the previous release ended a training that has computed features."""
    ended = "UPDATE jobs SET state = 'succeeded', lease_until = NULL WHERE id = :job_id AND fence = :fence"
    connection.execute(text(ended), vars(LEASED) | {"parent_id": None})
    values = {"file": json.dumps(ONNX_FILE.model_dump(mode="json")), "at": WHEN}
    keep = (
        "INSERT INTO features (dataset, key, file, created_at) VALUES ('pets', 'lite0', :file, :at) "
        "ON CONFLICT (dataset, key) DO UPDATE SET file = :file, created_at = :at"
    )
    connection.execute(text(keep), values)


def test_it_fails_as_in_an_outage_and_a_new_replica_does_the_job(database: Database, clock: FakeClock) -> None:
    # given a database that is migrated while the trainer works
    with database.engine.connect() as connection:
        finish_as_before(connection)  # would have worked
        connection.rollback()
    migrate(database)

    # when it publishes, nothing is kept, however often it tries
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable), database.write() as connection:
            finish_as_before(connection)
    leases, jobs = Leases(database), Jobs(database, DEFAULT_PROJECT)
    assert jobs.get(LEASED.job_id).state == JobState.RUNNING
    with database.read() as connection:
        assert connection.execute(select(tables.features)).all() == []

    # then it gives up, and a new replica trains and publishes the features
    leases.fail(LEASED, DatabaseUnavailable("the database does not answer; try again soon"))
    clock.tick(BACKOFF_S)
    lease = claimed(leases, JobKind.TRAIN).lease
    leases.finish(lease, MODEL_MANIFEST.model_copy(update={"features": FeatureFile(key="lite0", file=ONNX_FILE)}))
    assert jobs.get(LEASED.job_id).state == JobState.SUCCEEDED
    assert Models(database, DEFAULT_PROJECT).named("pet-cnn").versions == (1,)
    assert Datasets(database, DEFAULT_PROJECT).features("pets", "lite0") == ONNX_FILE


def test_one_that_is_stopped_or_killed_while_it_tries_charges_no_failure_or_one(
    database: Database, clock: FakeClock
) -> None:
    migrate(database)
    leases, jobs = Leases(database), Jobs(database, DEFAULT_PROJECT)

    # drained, as a rolling update does
    leases.release(LEASED)
    lease = claimed(leases, JobKind.TRAIN).lease
    with database.read() as connection:
        assert connection.execute(select(tables.jobs.c.failures)).scalar_one() == 0

    # killed
    clock.tick(LEASE.total_seconds() + 1)
    Reconciler(database).repair()
    assert jobs.get(LEASED.job_id).state == JobState.QUEUED
    clock.tick(BACKOFF_S)
    assert claimed(leases, JobKind.TRAIN).lease.fence > lease.fence
