"""The migrations create the tables and lose no rows."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, insert, inspect, select, text

from contract.access import DEFAULT_PROJECT
from contract.catalog import Traffic
from contract.errors import BadModel, Conflict
from contract.jobs import JobKind
from contract.references import Reference
from services.storage import tables
from services.storage.access.keys import Keys
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.routes import Route, Share
from services.storage.database import Database
from services.storage.jobs.counts import queued_jobs
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.migrate import config, migrate
from services.storage.sweep.reconciler import Reconciler
from tests.examples import (
    DATASET_MANIFEST,
    IMAGES_FILE,
    LABELS_FILE,
    MODEL_MANIFEST,
    ONNX_FILE,
    PREPROCESS_SPEC,
    VET_REQUEST,
    WHEN,
)
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

UPLOAD_ROW = {"id": "an-upload", "filename": "pets.zip", "size": 1, "complete": False, "created_at": WHEN}


def _document(key: str) -> dict[str, object]:
    return ONNX_FILE.model_copy(update={"key": key}).model_dump(mode="json")


DIVIDED = FIRST_JOB | {"state": "running", "parts_total": 2, "parts_left": 1}
PART = FIRST_JOB | {"parent_id": "divided", "spec": {"plan": _document("plan"), "number": 0}}
OLD_PART = PART | {"parent_id": "over", "spec": {"plan": _document("an ended job's")}}
ROWS_WITH_REFERENCES: list[tuple[str, dict[str, object]]] = [
    ("uploads", UPLOAD_ROW),
    *FIRST_ROWS[:1],
    *(row for row in FIRST_ROWS if row[0] in {"datasets", "dataset_versions", "models", "model_versions"}),
    ("model_versions", FIRST_VERSION | {"version": 2, "rejected": "no ONNX model"}),
    ("jobs", FIRST_JOB | {"id": "predicted", "state": "succeeded", "output": _document("output")}),
    ("jobs", FIRST_JOB | {"id": "running", "state": "running", "checkpoint": _document("running-checkpoint")}),
    ("jobs", FIRST_JOB | {"id": "failed", "state": "failed", "checkpoint": _document("an ended job's")}),
    ("jobs", DIVIDED | {"id": "divided"}),
    ("jobs", PART | {"id": "part-1", "part": 0, "state": "succeeded", "result": {"shards": [_document("shard")]}}),
    ("jobs", PART | {"id": "part-2", "part": 1, "state": "queued", "checkpoint": _document("part-checkpoint")}),
    ("jobs", DIVIDED | {"id": "over", "state": "failed"}),
    ("jobs", OLD_PART | {"id": "old-part", "part": 0, "state": "failed", "result": _document("an ended job's")}),
]


# An index on expressions cannot be compared; tests of claims see that it is used.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping")
def fill(database: Database, revision: str, rows: list[tuple[str, dict[str, object]]]) -> None:
    """Create the tables of a revision, with rows in them."""
    with database.engine.connect() as connection:
        command.upgrade(config(connection), revision)
        metadata = MetaData()
        metadata.reflect(connection)
        for table, row in rows:
            connection.execute(insert(metadata.tables[table]).values(row))
        connection.commit()


def test_threads_can_migrate_their_databases_at_the_same_time(tmp_path: Path) -> None:
    databases = [Database.connect(f"sqlite:///{tmp_path}/{number}.db") for number in range(4)]

    with ThreadPoolExecutor() as threads:
        list(threads.map(migrate, databases))

    assert all(inspect(database.engine).has_table("jobs") for database in databases)


def test_the_migrations_create_the_declared_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    reference = publish_dataset(database, "pets")

    migrate(database)

    assert str(publish_dataset(database, "pets")) == f"{reference.name}@2"


def test_rows_of_the_first_schema_survive_all_migrations(database_url: str, clock: FakeClock) -> None:
    # given a database of the first schema, with a running job, its wake-up message and an earlier job's versions
    database = Database.connect(database_url, clock)
    fill(database, "0001", FIRST_ROWS)

    # when
    migrate(database)

    # then no row is missing, and all references are intact
    assert [job.id for job in Jobs(database, DEFAULT_PROJECT).list(JobFilter(), 10).items] == ["running", "done"]
    assert Datasets(database, DEFAULT_PROJECT).get(Reference(name="pets", version=1)).job == "done"
    assert Models(database, DEFAULT_PROJECT).route(PRODUCTION) == Route(
        (Share(Reference(name="pets", version=1), MODEL_MANIFEST),)
    )
    assert Keys(database, DEFAULT_PROJECT).list()[0].name == "admin"
    woken: list[str] = []
    Reconciler(database).relay(lambda kind, job_id: woken.append(job_id))
    assert woken == ["running"]
    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(insert(tables.outbox).values(job_id="none", kind="preprocess"))

    # and the job goes on
    leases, lease = Leases(database), Lease("running", 1)
    leases.log(lease, "a line")
    leases.finish(lease, DATASET_MANIFEST)
    assert [(event.id, event.kind) for event in Events(database, DEFAULT_PROJECT).after("running", 0)] == [
        (1, "log"),
        (2, "state"),
    ]
    assert Datasets(database, DEFAULT_PROJECT).named("pets").versions == (2, 1)


def test_a_migration_registers_the_references_of_existing_rows(database_url: str) -> None:
    # given rows of every shape that refers to objects, before there was a registry
    database = Database.connect(database_url)
    fill(database, "0005", ROWS_WITH_REFERENCES)

    # when
    migrate(database)

    # then
    with database.read() as connection:
        rows = connection.execute(select(tables.object_references)).all()
    assert {(row.owner_kind, row.owner_id, row.bucket, row.key) for row in rows} == {
        ("upload", "an-upload", "uploads", "an-upload"),
        ("dataset_version", "pets@1", "jobs", IMAGES_FILE.key),
        ("dataset_version", "pets@1", "jobs", LABELS_FILE.key),
        ("model_version", "pets@1", "jobs", ONNX_FILE.key),
        ("job_output", "predicted", "jobs", "output"),
        ("job_checkpoint", "running", "jobs", "running-checkpoint"),
        ("job_checkpoint", "part-2", "jobs", "part-checkpoint"),
        ("job_parts", "divided", "jobs", "plan"),
        ("job_parts", "divided", "jobs", "shard"),
    }


def names_of_indexes(database: Database, table: str) -> set[str]:
    """The names of a table's indexes, also of those on expressions, which SQLAlchemy does not read on SQLite."""
    master = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = :table"
    catalog = "SELECT indexname FROM pg_indexes WHERE tablename = :table"
    query = text(master if database.engine.dialect.name == "sqlite" else catalog)
    with database.read() as connection:
        return set(connection.execute(query, {"table": table}).scalars())


def test_a_migration_registers_the_uploads_that_jobs_use_and_repairs_orphans(database_url: str) -> None:
    # given jobs with and without a stored upload, and rows of a project that was deleted while they were written
    database = Database.connect(database_url)
    spec = {"dataset": "pets", "source": {"upload": "an-upload"}}
    with database.engine.connect() as connection:
        command.upgrade(config(connection), "0014")
        older = MetaData()
        older.reflect(connection)
        for table, row in [
            ("uploads", UPLOAD_ROW),
            ("uploads", UPLOAD_ROW | {"id": "orphan", "project": "gone"}),
            ("jobs", FIRST_JOB | {"id": "used", "state": "failed", "spec": spec}),
            ("jobs", FIRST_JOB | {"id": "other", "state": "failed", "spec": spec, "project": "gone"}),
            ("jobs", FIRST_JOB | {"id": "train", "state": "failed", "spec": {"dataset": "upload@1"}}),
            ("api_keys", FIRST_ROWS[-1][1] | {"project": "gone"}),
            ("api_keys", FIRST_ROWS[-1][1] | {"id": "kept0000"}),
        ]:
            connection.execute(insert(older.tables[table]).values(row))
        connection.commit()

    # when
    migrate(database)

    # then the upload is known to be in use, the rows have a project again, and its key cannot be used
    with database.read() as connection:
        uses = connection.execute(select(tables.upload_uses)).all()
        assert [tuple(use) for use in uses] == [("an-upload", "used")]
        assert set(connection.execute(select(tables.projects.c.name)).scalars()) == {DEFAULT_PROJECT, "gone"}
        assert connection.execute(select(tables.api_keys.c.id)).scalars().all() == ["kept0000"]
    assert names_of_indexes(database, "jobs") >= {index.name for index in tables.jobs.indexes}


def test_a_migration_that_was_interrupted_while_it_built_indexes_can_be_repeated(database_url: str) -> None:
    # given an index of the next migration that was not finished, and its table
    database = Database.connect(database_url)
    with database.engine.connect() as connection:
        command.upgrade(config(connection), "0023")
        connection.execute(text("CREATE INDEX ix_jobs_due ON jobs (kind)"))
        tables.job_counts.create(connection)
        connection.commit()

    migrate(database)

    assert names_of_indexes(database, "jobs") >= {index.name for index in tables.jobs.indexes}
    Jobs(database, DEFAULT_PROJECT).create(VET_REQUEST)
    with database.read() as connection:
        assert queued_jobs(connection) == 1


def test_a_downgrade_keeps_what_the_older_schema_can_express(database: Database) -> None:
    # given a split alias, and versions of a model that was uploaded
    for _ in range(2):
        publish_model(database, "cnn")
    Models(database, DEFAULT_PROJECT).split_alias("cnn", "production", Traffic(versions={1: 70, 2: 30}, shadow=2))
    leases = Leases(database)
    for _ in range(2):
        Jobs(database, DEFAULT_PROJECT).create(VET_REQUEST)
        leases.fail(claimed(leases, JobKind.VET).lease, BadModel("no ONNX model"))

    # when
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # as `migrate` does
        command.downgrade(config(connection), "0002")
        connection.commit()

        # then the alias points at its largest share, and rejected versions are gone
        older = MetaData()
        older.reflect(connection)
        aliases, versions = older.tables["aliases"], older.tables["model_versions"]
        assert connection.execute(select(aliases.c.model, aliases.c.version)).all() == [("cnn", 1)]
        assert connection.execute(select(versions.c.name, versions.c.version)).all() == [("cnn", 1), ("cnn", 2)]


def test_a_downgrade_to_base_leaves_no_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        command.downgrade(config(connection), "base")
        connection.commit()

    assert inspect(database.engine).get_table_names() == ["alembic_version"]
