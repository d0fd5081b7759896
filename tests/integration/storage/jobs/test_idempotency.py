"""Requests that are repeated with the same idempotency key."""

import pytest
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket, ObjectRef, upload_key
from contract.errors import BadArchive, Conflict, Invalid
from contract.jobs import Job, JobState
from services.storage import tables
from services.storage.access.keys import Keys
from services.storage.catalog.uploads import Uploads, new_upload_id
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.sweep.reconciler import IDEMPOTENT_FOR, Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, together
from tests.support.clock import FakeClock
from tests.support.publication import add_upload

ONCE = IdempotencyKey(owner="0123abcd", key="k", digest="a" * 64)
OTHER_BODY = IdempotencyKey(owner=ONCE.owner, key=ONCE.key, digest="b" * 64)
EVERYTHING = JobFilter()


def test_the_same_request_gets_the_first_answer(jobs: Jobs, leases: Leases) -> None:
    # given an answer, and a job that has changed since
    first = jobs.create(PREPROCESS_REQUEST, once=ONCE)
    claimed(leases)

    # when
    again = jobs.create(PREPROCESS_REQUEST, once=ONCE)

    # then
    assert again == first
    assert [job.id for job in jobs.list(EVERYTHING, 10).items] == [first.id]


def test_another_request_with_the_same_key_is_rejected(jobs: Jobs) -> None:
    jobs.create(PREPROCESS_REQUEST, once=ONCE)

    with pytest.raises(Invalid):
        jobs.create(TRAIN_REQUEST, once=OTHER_BODY)

    assert len(jobs.list(EVERYTHING, 10).items) == 1


def test_a_key_belongs_to_one_client(jobs: Jobs) -> None:
    first = jobs.create(PREPROCESS_REQUEST, once=ONCE)

    other = jobs.create(TRAIN_REQUEST, once=IdempotencyKey(owner="4567cdef", key=ONCE.key, digest="b" * 64))

    assert other.id != first.id


def test_simultaneous_requests_create_one_job(jobs: Jobs) -> None:
    def create(_: int) -> Job | Conflict:
        try:
            return jobs.create(PREPROCESS_REQUEST, once=ONCE)
        except Conflict as error:
            return error

    answers = together(8, create)

    (made,) = jobs.list(EVERYTHING, 10).items
    assert {answer.id for answer in answers if isinstance(answer, Job)} == {made.id}
    assert jobs.create(PREPROCESS_REQUEST, once=ONCE) == made


def test_a_key_is_forgotten_after_a_day(jobs: Jobs, reconciler: Reconciler, clock: FakeClock) -> None:
    first = jobs.create(PREPROCESS_REQUEST, once=ONCE)

    clock.tick(IDEMPOTENT_FOR.total_seconds())
    reconciler.repair()
    assert jobs.create(PREPROCESS_REQUEST, once=ONCE) == first

    clock.tick(1)
    reconciler.repair()
    assert jobs.create(TRAIN_REQUEST, once=OTHER_BODY).id != first.id


def test_a_rejected_request_may_be_repeated(jobs: Jobs, leases: Leases, database: Database) -> None:
    # given a job that could not be retried because it was running
    add_upload(database)
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    with pytest.raises(Conflict):
        jobs.retry(job.id, once=ONCE)

    # when it has failed
    leases.fail(lease, BadArchive("the file is not a zip archive"))

    # then the same request makes one job
    again = [jobs.retry(job.id, once=ONCE) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].state == JobState.QUEUED
    assert len(jobs.list(EVERYTHING, 10).items) == 2


def test_a_repeated_announcement_creates_one_upload(database: Database) -> None:
    uploads = Uploads(database, DEFAULT_PROJECT)

    first, again = (uploads.expect(new_upload_id(), "a.zip", 1, None, ONCE) for _ in range(2))

    assert first == again
    with pytest.raises(Invalid):
        uploads.expect(new_upload_id(), "a.zip", 2, None, OTHER_BODY)


def test_an_unused_upload_can_be_forgotten(database: Database) -> None:
    uploads, upload_id = Uploads(database, DEFAULT_PROJECT), new_upload_id()
    uploads.add("a.zip", ObjectRef(bucket=Bucket.UPLOADS, key=upload_key(upload_id), size=1, sha256="a" * 64))

    uploads.forget(upload_id)

    with database.read() as connection:
        assert connection.execute(select(tables.uploads)).all() == []


def test_the_secret_of_an_api_key_is_never_stored(database: Database) -> None:
    # given
    keys = Keys(database, DEFAULT_PROJECT)
    made = keys.create("laptop", frozenset({Scope.READ}), once=ONCE)

    # when
    with pytest.raises(Conflict, match=made.id):
        keys.create("laptop", frozenset({Scope.READ}), once=ONCE)

    # then
    assert [key.id for key in keys.list()] == [made.id]
    with database.read() as connection:
        kept = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(select(table))]
    assert any(made.id in row for row in kept)
    assert not any(made.secret in row or made.secret[-43:] in row for row in kept)
