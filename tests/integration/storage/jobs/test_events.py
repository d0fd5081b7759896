"""The events of a job: when they are written, and what a reader gets."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from contract.access import DEFAULT_PROJECT
from contract.division import PartDone
from contract.errors import BadArchive, DatabaseUnavailable, LeaseLost
from contract.jobs import EventKind, JobEvent, JobKind, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE
from services.storage.sweep.reconciler import CANCEL_WITHIN, Reconciler
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, ONNX_FILE, PREPROCESS_REQUEST, ROWS_FILE
from tests.integration.storage.steps import DAY_S, claimed, divided, job_in, together
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1


def summary(reported: tuple[JobEvent, ...]) -> list[tuple[str, object]]:
    """The kind and the first value of each event."""
    return [(event.kind, next(iter(event.data.values()))) for event in reported]


def test_the_events_of_a_job_report_its_whole_life(jobs: Jobs, leases: Leases, events: Events) -> None:
    # given
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    leases.log(lease, "2 files are not images")
    leases.renew(lease, Progress(fraction=0.5, message="half"))
    leases.save_checkpoint(lease, ONNX_FILE, {"epoch": 1, "train_loss": 0.5})
    leases.finish(lease, DATASET_MANIFEST)

    # when
    reported = events.after(job.id, 0)

    # then
    assert [event.id for event in reported] == [1, 2, 3, 4, 5, 6]
    assert summary(reported) == [
        (EventKind.STATE, "queued"),
        (EventKind.STATE, "running"),
        (EventKind.LOG, "2 files are not images"),
        (EventKind.PROGRESS, 0.5),
        (EventKind.METRICS, 1),
        (EventKind.STATE, "succeeded"),
    ]
    assert [event.at for event in reported] == sorted(event.at for event in reported)


def test_an_event_has_the_time_of_the_databases_clock(
    jobs: Jobs, leases: Leases, events: Events, clock: FakeClock
) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    clock.tick(10)
    lease = claimed(leases).lease
    for action in (
        lambda: leases.log(lease, "a line"),
        lambda: leases.renew(lease, Progress(fraction=0.5, message="half")),
        lambda: leases.save_checkpoint(lease, ONNX_FILE, {"epoch": 1}),
        lambda: leases.fail(lease, BadArchive("the file is not a zip archive")),
    ):
        clock.tick(10)
        action()

    times = [(event.at - job.created_at).total_seconds() for event in events.after(job.id, 0)]
    assert times == [0, 10, 20, 30, 40, 50]


def test_concurrent_events_are_numbered_without_gaps(jobs: Jobs, leases: Leases, events: Events) -> None:
    # given two jobs
    ids = [jobs.create(PREPROCESS_REQUEST).id for _ in range(2)]
    held = [claimed(leases).lease for _ in range(2)]

    # when
    together(8, lambda index: leases.log(held[index % 2], f"line {index}"))

    # then the events of each job are numbered separately
    for job_id in ids:
        assert [event.id for event in events.after(job_id, 0)] == [1, 2, 3, 4, 5, 6]


def test_a_reader_gets_the_events_after_a_number(jobs: Jobs, leases: Leases, events: Events) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    for number in range(4):
        leases.log(lease, f"line {number}")

    assert [event.id for event in events.after(job.id, 4)] == [5, 6]
    assert [event.id for event in events.after(job.id, 1, limit=3)] == [2, 3, 4]
    assert events.after(job.id, 6) == ()
    assert events.after("none", 0) == ()


def test_a_progress_event_replaces_the_previous_one(jobs: Jobs, leases: Leases, events: Events) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease

    for step in range(1, 6):
        leases.renew(lease, Progress(fraction=step / 10, message=f"step {step}"))

    (progress,) = [event for event in events.after(job.id, 0) if event.kind == EventKind.PROGRESS]
    assert (progress.id, progress.data) == (7, {"fraction": 0.5, "message": "step 5"})


def test_a_checkpoint_that_is_saved_again_is_reported_once(jobs: Jobs, leases: Leases, events: Events) -> None:
    # given a worker that did not get the reply to its checkpoint
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    for _ in range(2):
        leases.save_checkpoint(lease, ONNX_FILE, {"epoch": 1})

    # when the next one comes
    leases.save_checkpoint(lease, ROWS_FILE, {"epoch": 2})

    # then
    assert summary(events.after(job.id, 2)) == [(EventKind.METRICS, 1), (EventKind.METRICS, 2)]


def test_a_change_that_is_rolled_back_has_no_event(jobs: Jobs, leases: Leases, events: Events) -> None:
    # given
    job = jobs.create(PREPROCESS_REQUEST)
    stale = claimed(leases).lease
    leases.release(stale)
    current = claimed(leases).lease
    before = events.after(job.id, 0)

    # when the attempt publishes a manifest of another kind, and a stale attempt calls
    with pytest.raises(TypeError):
        leases.finish(current, MODEL_MANIFEST)
    for change in (
        lambda: leases.log(stale, "a line"),
        lambda: leases.renew(stale, Progress(fraction=0.5, message="half")),
        lambda: leases.save_checkpoint(stale, ONNX_FILE, {"epoch": 1}),
        lambda: leases.finish(stale, DATASET_MANIFEST),
    ):
        with pytest.raises(LeaseLost):
            change()

    # then neither changes anything, and the checkpoint that came with metrics is not saved
    assert events.after(job.id, 0) == before
    leases.release(current)
    assert claimed(leases).checkpoint is None


def test_a_change_is_rolled_back_if_its_event_cannot_be_written(jobs: Jobs, leases: Leases, database: Database) -> None:
    # given a database whose events cannot be written
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    with database.write() as connection:
        connection.execute(text("DROP TABLE job_events"))

    # when
    with pytest.raises(DatabaseUnavailable):
        leases.fail(lease, BadArchive("the file is not a zip archive"))

    # then
    assert jobs.get(job.id).state == JobState.RUNNING


def test_parts_add_only_metrics_and_log_lines_to_the_events_of_their_job(
    leases: Leases, parts: Parts, events: Events, database: Database
) -> None:
    # given
    job = divided(database, 2)
    first, second = (claimed(leases).lease for _ in range(2))
    before = events.after(job.id, 0)[-1].id

    # when one part reports everything a part can, and both are done
    leases.log(first, "a line")
    leases.save_checkpoint(first, ONNX_FILE, {"count": 7})
    leases.renew(first, Progress(fraction=0.5, message="half"))
    for lease in (first, second):
        parts.finish(lease, PartDone(result={}))

    # then the job's own progress and states are between them; the previous progress has been replaced
    assert summary(events.after(job.id, before)) == [
        (EventKind.LOG, "a line"),
        (EventKind.METRICS, 7),
        (EventKind.PROGRESS, pytest.approx(0.95)),
        (EventKind.STATE, "queued"),
    ]
    assert events.after(first.job_id, 0) == ()


def succeed(job_id: str, database: Database, clock: FakeClock) -> None:
    leases = Leases(database)
    leases.finish(claimed(leases).lease, DATASET_MANIFEST)


def fail(job_id: str, database: Database, clock: FakeClock) -> None:
    leases = Leases(database)
    leases.fail(claimed(leases).lease, BadArchive("the file is not a zip archive"))


def lose(job_id: str, database: Database, clock: FakeClock) -> None:
    for _ in range(3):
        claimed(Leases(database))
        clock.tick(EXPIRED_S)


def cancel(job_id: str, database: Database, clock: FakeClock) -> None:
    Jobs(database, DEFAULT_PROJECT).cancel(job_id)


def stop(job_id: str, database: Database, clock: FakeClock) -> None:
    lease = claimed(Leases(database)).lease
    Jobs(database, DEFAULT_PROJECT).cancel(job_id)
    Leases(database).cancelled(lease)


def ignore(job_id: str, database: Database, clock: FakeClock) -> None:
    claimed(Leases(database))
    Jobs(database, DEFAULT_PROJECT).cancel(job_id)
    clock.tick(CANCEL_WITHIN.total_seconds() + 1)


def be_late(job_id: str, database: Database, clock: FakeClock) -> None:
    clock.tick(DAY_S + 1)


ENDS: list[tuple[Callable[[str, Database, FakeClock], None], str, str | None]] = [
    (succeed, "succeeded", None),
    (fail, "failed", "bad_archive"),
    (lose, "failed", "worker_lost"),
    (cancel, "cancelled", None),
    (stop, "cancelled", None),
    (ignore, "cancelled", None),
    (be_late, "expired", "expired"),
]


@pytest.mark.parametrize(("end", "state", "code"), ENDS, ids=[end.__name__ for end, _, _ in ENDS])
def test_the_end_of_a_job_is_reported_once(
    events: Events,
    reconciler: Reconciler,
    database: Database,
    clock: FakeClock,
    end: Callable[[str, Database, FakeClock], None],
    state: str,
    code: str | None,
) -> None:
    # given a job that has ended in one of all possible ways
    job = job_in(JobState.QUEUED, database, clock)
    end(job.id, database, clock)

    # when the reconciler has run more than once
    for _ in range(2):
        reconciler.repair()

    # then
    reported = events.after(job.id, 0)
    ends = [event for event in reported if event.kind == EventKind.STATE and JobState(event.data["state"]).terminal]
    assert ends == [reported[-1]]
    assert (ends[0].data["state"], ends[0].data.get("error", {}).get("code")) == (state, code)
    assert [event.id for event in reported] == list(range(1, len(reported) + 1))
    assert Leases(database).claim(JobKind.PREPROCESS, "worker") is None
