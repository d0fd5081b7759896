"""PostgreSQL and an object store, backed up as docs/operations.md says: mirror, dump, mirror; then restored."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, select, text

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import JobKind
from contract.projects import NewProjectRequest
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.references import Owner
from services.storage.stores import Stores
from services.storage.sweep.collector import Collector
from tests.examples import TRAIN_REQUEST
from tests.integration.storage.filled import fill
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock
from tests.support.servers import Server, postgres_binaries

GRACE = timedelta(hours=1)


@pytest.fixture
def database_url(postgres: Server, migrated_tables: object) -> str:
    return postgres.url


@pytest.fixture
def restored_url(postgres: Server) -> Iterator[str]:
    """The URL of an empty database beside the one of the tests."""
    name, owner = "restored", Database.connect(postgres.url)
    with owner.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield postgres.url.rpartition("/")[0] + f"/{name}"
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    owner.engine.dispose()


def mirror(source: MemoryObjects, target: MemoryObjects) -> None:
    """Copy what is new, and delete nothing, as `rclone copy` and `mc mirror` do."""
    for bucket in Bucket:
        known = {entry.key for entry in target.entries(bucket)}
        for entry in source.entries(bucket):
            if entry.key not in known:
                target.put(bucket, entry.key, source.read(source.adopt(bucket, entry.key)))


def program(name: str, url: str, *arguments: str) -> None:
    command = [str(postgres_binaries() / name), "--dbname", url.replace("+psycopg", ""), *arguments]
    subprocess.run(command, check=True, timeout=60)


def rows(connection: Connection, table: Table) -> set[str]:
    return {repr(row) for row in connection.execute(select(table))}


def delete_outputs(stores: Stores, project: str) -> None:
    """Delete the predictions and evaluations of a project."""
    own = stores.of(project)
    for job in own.jobs.list(JobFilter(), 100).items:
        if job.kind in {"predict", "evaluate"}:
            own.jobs.delete(job.id)


def test_a_restored_deployment_is_consistent_and_goes_on(
    database: Database, restored_url: str, clock: FakeClock, tmp_path: Path
) -> None:
    # given a project whose objects are older than the collector's grace period
    written_at = FakeClock(clock.now - 2 * GRACE)
    objects, copies = MemoryObjects(written_at), MemoryObjects(clock)
    stores = Stores(database, objects)
    stores.projects.create(NewProjectRequest(name="lab"))
    fill(stores, DEFAULT_PROJECT)
    written_at.now = clock.now

    # when it is backed up, while another project is filled, and outputs of both are deleted and collected
    mirror(objects, copies)
    fill(stores, "lab")
    program(
        "pg_dump",
        database_url_of(database),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--file",
        str(tmp_path / "dump"),
    )
    with database.read() as connection:
        dumped = {table.name: rows(connection, table) for table in tables.metadata.sorted_tables}
    for project in (DEFAULT_PROJECT, "lab"):
        delete_outputs(stores, project)
    assert Collector(database, objects, GRACE).collect() > 0
    mirror(objects, copies)
    program("pg_restore", restored_url, "--no-owner", "--no-privileges", "--exit-on-error", str(tmp_path / "dump"))

    # then all rows are there, in the tables that this release expects
    restored = Database.connect(restored_url, clock)
    with restored.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        assert {table.name: rows(connection, table) for table in tables.metadata.sorted_tables} == dumped

    # and every object that a row refers to exists, and stays
    again = Stores(restored, copies)
    Collector(restored, copies, timedelta(0)).collect()
    with restored.read() as connection:
        announced = select(tables.uploads.c.id).where(tables.uploads.c.complete.is_(False))
        query = select(tables.object_references).where(tables.object_references.c.owner_id.not_in(announced))
        references = connection.execute(query).all()
    assert {(row.bucket, row.key) for row in references} <= copies.content.keys()
    assert {row.owner_kind for row in references} == set(Owner)

    # and new jobs are accepted and claimed
    again.of("lab").jobs.create(TRAIN_REQUEST)
    assert claimed(again.leases, JobKind.TRAIN).job.kind == "train"
    restored.engine.dispose()


def database_url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)
