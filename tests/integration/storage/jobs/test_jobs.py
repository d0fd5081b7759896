"""The clients' side of jobs: create, read, list, cancel, retry."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text, update

from contract.errors import Conflict, DatabaseUnavailable, NotFound, Refused
from contract.jobs import JobKind, JobState
from contract.kinds.predict import PredictResult
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.sweep.reconciler import Reconciler
from tests.examples import (
    PREDICT_REQUEST,
    PREDICTION_OUTPUT,
    PREPROCESS_REQUEST,
    PREPROCESS_SPEC,
    ROWS_FILE,
    TRAIN_REQUEST,
    WHEN,
)
from tests.integration.storage.steps import claimed, job_in
from tests.support.clock import FakeClock
from tests.support.publication import add_upload

EVERYTHING = JobFilter()


def test_an_accepted_job_has_the_requested_values(jobs: Jobs) -> None:
    # when
    job = jobs.create(TRAIN_REQUEST, "request-1")

    # then
    assert (job.kind, job.state, job.parsed_spec()) == (JobKind.TRAIN, JobState.QUEUED, TRAIN_REQUEST.spec)
    assert (job.priority, job.attempt, job.result, job.error) == (5, 0, None, None)
    assert (job.created_at, job.started_at, job.finished_at) == (WHEN, None, None)
    assert job.deadline_at is not None
    assert (job.deadline_at - WHEN).total_seconds() == TRAIN_REQUEST.deadline_s
    assert jobs.get(job.id) == job


def test_an_accepted_job_has_a_wake_up_message_in_the_outbox(jobs: Jobs, reconciler: Reconciler) -> None:
    job = jobs.create(TRAIN_REQUEST)

    woken: list[tuple[JobKind, str]] = []
    reconciler.relay(lambda kind, job_id: woken.append((kind, job_id)))

    assert woken == [(JobKind.TRAIN, job.id)]


def test_a_job_is_not_accepted_without_its_outbox_entry(jobs: Jobs, database: Database) -> None:
    # given an outbox that cannot be written
    with database.write() as connection:
        connection.execute(text("DROP TABLE outbox"))

    # when
    with pytest.raises(DatabaseUnavailable):
        jobs.create(TRAIN_REQUEST)

    # then
    assert jobs.list(EVERYTHING, 10).items == ()


def test_pages_list_the_newest_jobs_first(jobs: Jobs) -> None:
    # given
    ids = [jobs.create(PREPROCESS_REQUEST).id for _ in range(5)]

    # when
    pages = [jobs.list(EVERYTHING, 2)]
    while pages[-1].next is not None:
        pages.append(jobs.list(EVERYTHING, 2, pages[-1].next))

    # then
    assert [[job.id for job in page.items] for page in pages] == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


def test_a_page_that_reaches_the_end_has_no_next_cursor(jobs: Jobs) -> None:
    for _ in range(2):
        jobs.create(PREPROCESS_REQUEST)

    assert jobs.list(EVERYTHING, 2).next is None


def test_a_new_job_does_not_shift_later_pages(jobs: Jobs) -> None:
    # given
    ids = [jobs.create(PREPROCESS_REQUEST).id for _ in range(3)]
    first = jobs.list(EVERYTHING, 2)

    # when
    jobs.create(PREPROCESS_REQUEST)

    # then
    assert [job.id for job in jobs.list(EVERYTHING, 2, first.next).items] == [ids[0]]


def test_filters_narrow_the_list(jobs: Jobs) -> None:
    # given
    other = PREPROCESS_SPEC.model_copy(update={"dataset": "other"})
    first = jobs.create(PREPROCESS_REQUEST).id
    second = jobs.create(TRAIN_REQUEST).id
    third = jobs.create(PREPROCESS_REQUEST.model_copy(update={"spec": other})).id
    jobs.cancel(first)

    # then
    for where, ids in [
        (JobFilter(kind=JobKind.TRAIN), [second]),
        (JobFilter(kind=JobKind.PREPROCESS), [third, first]),
        (JobFilter(state=JobState.QUEUED), [third, second]),
        (JobFilter(state=JobState.CANCELLED), [first]),
        (JobFilter(dataset="pets"), [second, first]),
        (JobFilter(model="pet-cnn"), [second]),
        (JobFilter(dataset="pets", kind=JobKind.PREPROCESS), [first]),
        (JobFilter(dataset="none"), []),
    ]:
        assert [job.id for job in jobs.list(where, 10).items] == ids, where


def test_a_malformed_id_is_rejected(jobs: Jobs) -> None:
    for text_ in ("", "\x00", "x" * 1000):
        for look in (jobs.get, jobs.cancel, jobs.retry, jobs.output):
            with pytest.raises(Refused):
                look(text_)


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        jobs.get("none")


def test_a_queued_job_is_cancelled_at_once(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    clock.tick(5)

    job = jobs.cancel(job.id)

    assert (job.state, job.finished_at) == (JobState.CANCELLED, clock.now)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_cancelling_a_running_job_requests_it_of_the_worker(jobs: Jobs, database: Database, clock: FakeClock) -> None:
    job = job_in(JobState.RUNNING, database, clock)

    job = jobs.cancel(job.id)

    assert (job.state, job.progress.message) == (JobState.RUNNING, "cancelling")


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED])
def test_a_job_that_has_ended_cannot_be_cancelled(
    jobs: Jobs, database: Database, clock: FakeClock, state: JobState
) -> None:
    job = job_in(state, database, clock)

    with pytest.raises(Conflict, match=f"already {state}"):
        jobs.cancel(job.id)

    assert jobs.get(job.id) == job


def test_cancelling_again_is_no_error(jobs: Jobs, database: Database, clock: FakeClock) -> None:
    job = job_in(JobState.CANCELLED, database, clock)
    clock.tick(5)

    assert jobs.cancel(job.id) == job


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_a_job_that_ended_without_success_can_be_retried(
    jobs: Jobs, leases: Leases, database: Database, clock: FakeClock, state: JobState
) -> None:
    # given
    add_upload(database)
    old = job_in(state, database, clock)

    # when
    new = jobs.retry(old.id, "request-2")

    # then there is another job with the same spec and all its attempts, and the old job is unchanged
    assert new.id != old.id
    assert (new.spec, new.priority, new.max_attempts) == (old.spec, old.priority, old.max_attempts)
    assert (new.state, new.attempt, new.error, new.deadline_at) == (JobState.QUEUED, 0, None, None)
    assert jobs.list(JobFilter(dataset="pets"), 10).items == (new, old)
    assert claimed(leases).job.id == new.id


def test_of_simultaneous_retries_one_makes_a_job_and_the_others_name_it(
    jobs: Jobs, database: Database, clock: FakeClock
) -> None:
    # given
    add_upload(database)
    failed = job_in(JobState.FAILED, database, clock)

    # when it is retried many times at once
    def retry(_: int) -> str:
        try:
            return jobs.retry(failed.id).id
        except Conflict as error:
            return error.message

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(retry, range(8)))

    # then there is one copy
    (copy,) = {job.id for job in jobs.list(EVERYTHING, 10).items} - {failed.id}
    assert outcomes.count(copy) == 1
    assert sum(f"as job {copy}" in outcome for outcome in outcomes) == 7


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED])
def test_a_live_or_succeeded_job_cannot_be_retried(
    jobs: Jobs, database: Database, clock: FakeClock, state: JobState
) -> None:
    job = job_in(state, database, clock)

    with pytest.raises(Conflict, match=state):
        jobs.retry(job.id)

    assert jobs.list(EVERYTHING, 10).items == (job,)


def test_a_succeeded_batch_prediction_has_an_output(jobs: Jobs, leases: Leases) -> None:
    # given
    job = jobs.create(PREDICT_REQUEST)
    with pytest.raises(Conflict):
        jobs.output(job.id)

    # when
    done = leases.finish(claimed(leases, JobKind.PREDICT).lease, PREDICTION_OUTPUT)

    # then
    assert jobs.output(job.id) == PREDICTION_OUTPUT.artifact
    result = PredictResult.model_validate(done.result)
    assert (result.count, result.failed, result.metrics) == (2, 0, PREDICTION_OUTPUT.metrics)
    assert (result.output.size, result.output.sha256) == (ROWS_FILE.size, ROWS_FILE.sha256)


def test_a_job_of_another_kind_has_no_output(jobs: Jobs, database: Database, clock: FakeClock) -> None:
    with pytest.raises(Conflict):
        jobs.output(job_in(JobState.SUCCEEDED, database, clock).id)


def test_a_job_released_while_it_is_cancelled_ends_as_cancelled(jobs: Jobs, leases: Leases, database: Database) -> None:
    # given a running job
    job = jobs.create(PREPROCESS_REQUEST)
    claimed(leases)
    cancel = threading.Thread(target=jobs.cancel, args=[job.id])

    # when it is cancelled while its worker releases it
    with database.write() as connection:
        connection.execute(update(tables.jobs).values(state=JobState.QUEUED, lease_until=None))
        cancel.start()
        while database.engine.dialect.name == "postgresql" and not _somebody_waits(database):
            pass
    cancel.join()

    # then
    assert jobs.get(job.id).state == JobState.CANCELLED


def _somebody_waits(database: Database) -> bool:
    with database.read() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(connection.execute(text(waiting)).scalar())
