"""The migrations make the tables, and lose nothing."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, insert, inspect, select

from contract.errors import BadModel, Conflict
from contract.jobs import JobKind
from contract.references import Reference
from contract.traffic import Traffic
from services.storage import tables
from services.storage.access.keys import Keys
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.routes import Route, Share
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.migrate import config, migrate
from services.storage.sweep.reconciler import Reconciler
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_SPEC, VET_REQUEST, WHEN
from tests.integration.storage.steps import claimed, publish_dataset, publish_model
from tests.support.clock import FakeClock

PRODUCTION = Reference(name="pets", alias="production")
FIRST_JOB = {
    "kind": "preprocess",
    "spec": PREPROCESS_SPEC.model_dump(mode="json"),
    "priority": 0,
    "dataset": "pets",
    "attempt": 1,
    "failures": 0,
    "max_attempts": 3,
    "fence": 1,
    "run_at": WHEN,
    "rung_at": WHEN,
    "cancel_requested": False,
    "progress": 0.5,
    "progress_message": "half",
    "created_at": WHEN,
}
FIRST_VERSION = {"name": "pets", "version": 1, "job_id": "done", "created_at": WHEN}
FIRST_MODEL = FIRST_VERSION | {"dataset": "pets@1", "manifest": MODEL_MANIFEST.model_dump(mode="json")}
FIRST_ROWS: list[tuple[str, dict[str, object]]] = [
    ("jobs", FIRST_JOB | {"id": "done", "state": "succeeded", "finished_at": WHEN}),
    ("jobs", FIRST_JOB | {"id": "running", "state": "running", "lease_until": WHEN}),
    ("outbox", {"job_id": "running", "kind": "preprocess"}),
    ("datasets", {"name": "pets", "last_version": 1, "created_at": WHEN}),
    ("dataset_versions", FIRST_VERSION | {"manifest": DATASET_MANIFEST.model_dump(mode="json")}),
    ("models", {"name": "pets", "last_version": 1, "created_at": WHEN}),
    ("model_versions", FIRST_MODEL),
    ("aliases", {"model": "pets", "alias": "production", "version": 1, "updated_at": WHEN}),
    ("api_keys", {"id": "0123abcd", "name": "admin", "digest": "0" * 64, "scopes": ["admin"], "created_at": WHEN}),
]


def test_an_empty_database_becomes_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    reference = publish_dataset(database, "pets")

    migrate(database)

    assert str(publish_dataset(database, "pets")) == f"{reference.name}@2"


def test_what_the_first_schema_held_survives(database_url: str, clock: FakeClock) -> None:
    # given a database of the first schema, with a running job, its wakeup and what an earlier job published
    database = Database.connect(database_url, clock)
    with database.engine.connect() as connection:
        command.upgrade(config(connection), "0001")
        first = MetaData()
        first.reflect(connection)
        for table, row in FIRST_ROWS:
            connection.execute(insert(first.tables[table]).values(row))
        connection.commit()

    # when
    migrate(database)

    # then nothing is missing, and everything still points at what it pointed at
    assert [job.id for job in Jobs(database).list(JobFilter(), 10).items] == ["running", "done"]
    assert Datasets(database).get(Reference(name="pets", version=1)).job == "done"
    assert Models(database).route(PRODUCTION) == Route((Share(Reference(name="pets", version=1), MODEL_MANIFEST),))
    assert Keys(database).list()[0].name == "admin"
    woken: list[str] = []
    Reconciler(database).relay(lambda kind, job_id: woken.append(job_id))
    assert woken == ["running"]
    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(insert(tables.outbox).values(job_id="none", kind="preprocess"))

    # and the job goes on
    leases, lease = Leases(database), Lease("running", 1)
    leases.log(lease, "a line")
    leases.finish(lease, DATASET_MANIFEST)
    assert [(event.id, event.kind) for event in Events(database).after("running", 0)] == [(1, "log"), (2, "state")]
    assert Datasets(database).named("pets").versions == (2, 1)


def test_the_way_down_keeps_what_the_older_schema_has_words_for(database: Database) -> None:
    # given a split alias, and versions of a model that was uploaded
    for _ in range(2):
        publish_model(database, "cnn")
    Models(database).split_alias("cnn", "production", Traffic(versions={1: 70, 2: 30}, shadow=2))
    leases = Leases(database)
    for _ in range(2):
        Jobs(database).create(VET_REQUEST)
        leases.fail(claimed(leases, JobKind.VET).lease, BadModel("no ONNX model"))

    # when
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # as `migrate` does
        command.downgrade(config(connection), "0002")
        connection.commit()

        # then the alias points at its largest share, and what was rejected is gone
        older = MetaData()
        older.reflect(connection)
        aliases, versions = older.tables["aliases"], older.tables["model_versions"]
        assert connection.execute(select(aliases.c.model, aliases.c.version)).all() == [("cnn", 1)]
        assert connection.execute(select(versions.c.name, versions.c.version)).all() == [("cnn", 1), ("cnn", 2)]


def test_the_way_down_leaves_nothing(database: Database) -> None:
    with database.engine.connect() as connection:
        command.downgrade(config(connection), "base")
        connection.commit()

    assert inspect(database.engine).get_table_names() == ["alembic_version"]
