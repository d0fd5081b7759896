"""A project is deleted with everything that it has, whenever the process that does it dies."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT, Role
from contract.artifacts import Bucket, attempt_prefix, upload_key
from contract.errors import Conflict, NotFound, ObjectsUnavailable, Unauthenticated
from contract.jobs import Job, JobKind, JobState
from contract.projects import NewProjectRequest
from services.storage.access.audit import Actor, AuditFilter
from services.storage.access.projects import Projects
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.jobs.rows import LEASE
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from services.storage.sweep import purge as module
from services.storage.sweep.collector import Collector
from services.storage.sweep.purge import Purger
from services.storage.sweep.reconciler import Reconciler
from services.storage.tables import audit, metadata, object_references
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.filled import fill
from tests.integration.storage.steps import claimed, together
from tests.support.clock import FakeClock
from tests.support.killed import Killed

ADMIN = Actor("0123abcd", "ann", "a-request", DEFAULT_PROJECT)


@pytest.fixture
def objects(clock: FakeClock) -> MemoryObjects:
    return MemoryObjects(clock)


@pytest.fixture
def stores(database: Database, objects: MemoryObjects) -> Stores:
    """An instance with two projects that have everything."""
    stores = Stores(database, objects)
    for name in ("lab", "lab2"):
        stores.projects.create(NewProjectRequest(name=name))
        fill(stores, name)
    return stores


@pytest.fixture(autouse=True)
def time(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches, and a clock that goes on instead of waiting, with a reconciler that repairs meanwhile."""
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "OBJECTS", 3)


class Waits(threading.Event):
    """Instead of waiting, let a minute pass and the reconciler repair, which ends the attempts of lost workers."""

    def __init__(self, clock: FakeClock, database: Database) -> None:
        super().__init__()
        self._clock = clock
        self._database = database

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.tick(20)
        Reconciler(self._database).repair()
        return self.is_set()


@pytest.fixture
def purger(database: Database, objects: MemoryObjects, clock: FakeClock) -> Purger:
    return Purger(database, objects, Waits(clock, database))


def rows(database: Database, project: str) -> dict[str, list[str]]:
    """All rows of a project, by table, and the references of its objects."""
    with database.read() as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(select(table).where(table.c.project == project)).all()))
            for table in metadata.sorted_tables
            if "project" in table.c
        }
        keys = select(object_references.c.key).where(object_references.c.key.startswith(f"{project}/", autoescape=True))
        found["object_references"] = sorted(connection.execute(keys).scalars())
    return {name: listed for name, listed in found.items() if listed}


def keys_of(objects: MemoryObjects, project: str) -> list[str]:
    return sorted(key for _, key in objects.content if key.startswith(f"{project}/"))


def test_nothing_of_the_project_is_left(
    stores: Stores, database: Database, objects: MemoryObjects, purger: Purger
) -> None:
    # given another project, and the key of a worker's object whose job is called like the project
    other, bytes_of_other = rows(database, "lab2"), keys_of(objects, "lab2")
    secret = stores.of("lab").keys.create("bob", Role.MEMBER).secret
    objects.put(Bucket.JOBS, attempt_prefix("lab", 1) + "x", b"of a job of default")
    objects.parts[Bucket.UPLOADS, "lab/begun"] = objects.parts[Bucket.UPLOADS, "lab2/begun"] = database.now()

    # when
    job = Projects(database, ADMIN).purge("lab", "a-request")
    assert purger.work()

    # then
    assert rows(database, "lab") == {}
    assert keys_of(objects, "lab") == ["lab/attempts/1/x"]
    assert list(objects.parts) == [(Bucket.UPLOADS, "lab2/begun")]
    with pytest.raises(Unauthenticated):
        stores.keys.authenticate(secret)
    ended = stores.of(DEFAULT_PROJECT).jobs.get(job.id)
    assert (ended.state, ended.result, ended.project) == (JobState.SUCCEEDED, {"project": "lab"}, DEFAULT_PROJECT)
    assert not purger.work()

    # and the other one has what it had, but the time of its attempts has gone on
    after = rows(database, "lab2")
    assert len(after.pop("jobs")) == len(other.pop("jobs"))
    assert after == other
    assert keys_of(objects, "lab2") == bytes_of_other

    # and the audit trail tells it
    trail = stores.of(DEFAULT_PROJECT).audit.list(AuditFilter(subject="projects/lab"), 10).items
    assert [(entry.actor, entry.detail) for entry in trail] == [("0123abcd", "with everything in it")]
    with database.read() as connection:
        assert connection.execute(select(audit.c.id).where(audit.c.project == "lab")).first() is None


def test_a_project_that_is_being_purged_is_invisible_and_its_name_is_taken(
    stores: Stores, database: Database, purger: Purger
) -> None:
    job = stores.projects.purge("lab")

    assert [project.name for project in stores.projects.list(10).items] == [DEFAULT_PROJECT, "lab2"]
    for call in (stores.projects.get, stores.projects.delete):
        with pytest.raises(NotFound):
            call("lab")
    with pytest.raises(NotFound):
        stores.of("lab").keys.create("eve", Role.ADMIN)
    with pytest.raises(Conflict, match=f"is being deleted by the job {job.id}"):
        stores.projects.create(NewProjectRequest(name="lab"))
    assert stores.projects.purge("lab") == stores.of(DEFAULT_PROJECT).jobs.get(job.id)

    # and afterwards it is free
    purger.work()
    stores.projects.create(NewProjectRequest(name="lab"))
    with pytest.raises(NotFound):
        stores.of("lab").models.named("pet-cnn")
    assert stores.of("lab").jobs.list(JobFilter(), 10).items == ()


def test_the_default_project_and_an_unknown_one_are_not_purged(stores: Stores) -> None:
    with pytest.raises(Conflict, match="the project default cannot be deleted"):
        stores.projects.purge(DEFAULT_PROJECT)
    with pytest.raises(NotFound, match="there is no project 'none'"):
        stores.projects.purge("none")


def test_a_purge_cannot_be_cancelled_or_retried(stores: Stores) -> None:
    job, own = stores.projects.purge("lab"), stores.of(DEFAULT_PROJECT).jobs

    for call in (own.cancel, own.retry):
        with pytest.raises(Conflict, match="a purge job belongs to the instance"):
            call(job.id)


def calls_of(objects: MemoryObjects, database: Database, on_call: Callable[[], None], monkeypatch: Any) -> None:
    """Call a function before each transaction that writes, and each call to the object store."""
    write = database.write

    def writing() -> Any:
        on_call()
        return write()

    monkeypatch.setattr(database, "write", writing)
    for name in ("remove", "entries", "prefixes", "unfinished"):
        method = getattr(objects, name)
        monkeypatch.setattr(objects, name, lambda *a, method=method: (on_call(), method(*a))[1])


@pytest.mark.parametrize("error", [Killed, ObjectsUnavailable, RuntimeError], ids=lambda error: error.__name__)
def test_a_purge_goes_on_after_every_failure(
    stores: Stores,
    database: Database,
    objects: MemoryObjects,
    purger: Purger,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    """The first call fails, then the second of the next process, and so on, until one comes to the end."""
    job = stores.projects.purge("lab")
    passes = calls = 0

    def fail_one() -> None:
        nonlocal calls
        calls += 1
        if calls == passes:
            raise error("failed")

    with monkeypatch.context() as failing:
        calls_of(objects, database, fail_one, failing)
        while calls >= passes:
            passes, calls = passes + 1, 0
            with suppress(Killed, ObjectsUnavailable, RuntimeError):
                purger.work()
            clock.tick(LEASE.total_seconds() + 301)

    assert passes > 20
    assert rows(database, "lab") == {}
    assert keys_of(objects, "lab") == []
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_purge_stops_between_two_batches_and_goes_on(
    stores: Stores, database: Database, objects: MemoryObjects, purger: Purger, clock: FakeClock
) -> None:
    # given a process that is to end
    job = stores.projects.purge("lab")
    stop = Waits(clock, database)
    ending = Purger(database, objects, stop)
    stop.set()

    # when
    assert ending.work()
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state is JobState.QUEUED

    # then the next one goes on at once
    purger.work()
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state is JobState.SUCCEEDED


def test_what_a_late_request_writes_is_deleted_too(
    stores: Stores, database: Database, objects: MemoryObjects, purger: Purger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway may accept an upload and a job for a second after the project has gone."""
    job = stores.projects.purge("lab")
    finish, late = purger._leases.finish, []

    def finish_late(*arguments: Any) -> Job:
        if not late:
            late.append(stores.of("lab").jobs.create(PREPROCESS_REQUEST))
            stored = objects.put(Bucket.UPLOADS, upload_key("late", "lab"), b"PK")
            stores.of("lab").uploads.add("a.zip", stored)
        return finish(*arguments)

    monkeypatch.setattr(purger._leases, "finish", finish_late)

    purger.work()

    assert late
    assert rows(database, "lab") == {}
    assert keys_of(objects, "lab") == []
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state is JobState.SUCCEEDED
    with pytest.raises(Conflict):  # there is no such project
        stores.of("lab").jobs.create(PREPROCESS_REQUEST)


def test_what_a_lost_worker_writes_afterwards_is_collected(
    stores: Stores, database: Database, objects: MemoryObjects, purger: Purger
) -> None:
    stores.of("lab").jobs.create(TRAIN_REQUEST)
    lease = claimed(stores.leases, JobKind.TRAIN).lease
    stores.projects.purge("lab")
    purger.work()

    objects.put(Bucket.JOBS, attempt_prefix(lease.job_id, lease.fence, "lab") + "x", b"x")

    assert Collector(database, objects, timedelta()).collect() > 0
    assert keys_of(objects, "lab") == []


@pytest.mark.parametrize("what", ["key", "upload", "job"])
def test_a_deletion_and_a_new_object_of_the_project_exclude_each_other(
    database: Database, objects: MemoryObjects, what: str
) -> None:
    """A project that is gone has no keys, uploads and jobs, whichever was first."""
    stores = Stores(database, objects)
    for number in range(8):
        name = f"project-{number}"
        stores.projects.create(NewProjectRequest(name=name))
        own = stores.of(name)
        acts: dict[str, Callable[[], object]] = {
            "key": lambda own=own: own.keys.create("ann", Role.VIEWER),
            "upload": lambda own=own, n=number: own.uploads.expect(f"upload-{n}", "a.zip", 1, None),
            "job": lambda own=own: own.jobs.create(PREPROCESS_REQUEST),
        }

        def attempt(index: int, name: str = name, acts: Any = acts) -> bool:
            try:
                _ = acts[what]() if index else stores.projects.delete(name)
            except (Conflict, NotFound):
                return False
            return True

        deleted, created = together(2, attempt)

        assert deleted is not created
        assert bool(rows(database, name)) is created
