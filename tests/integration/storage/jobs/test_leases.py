"""What a worker may do with its job, and what a stale worker may not."""

from collections.abc import Callable

import pytest

from contract.errors import (
    BadArchive,
    Cancelled,
    Corrupt,
    JobFailed,
    LeaseLost,
    NotFound,
    ObjectsUnavailable,
    TidepoolError,
    WorkerLost,
)
from contract.jobs import Job, JobError, JobKind, JobState, Progress
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from contract.references import Reference
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import BACKOFF_S, MAX_BACKOFF_S, Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.sweep.reconciler import Reconciler
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, ONNX_FILE, TRAIN_REQUEST
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock

LEASE_S = LEASE.total_seconds()
PROGRESS = Progress(fraction=0.5, message="half")


def test_renewing_extends_the_lease_and_shows_the_progress(
    jobs: Jobs, leases: Leases, job: Job, lease: Lease, clock: FakeClock
) -> None:
    for _ in range(3):
        clock.tick(LEASE_S)
        leases.renew(lease, PROGRESS)

    assert jobs.get(job.id).progress == PROGRESS
    assert leases.claim(JobKind.PREPROCESS, "another") is None


def test_an_expired_lease_can_be_renewed_until_another_worker_claims_the_job(
    leases: Leases, lease: Lease, clock: FakeClock
) -> None:
    clock.tick(10 * LEASE_S)

    leases.renew(lease, PROGRESS)

    assert leases.claim(JobKind.PREPROCESS, "another") is None


def test_a_prepared_data_set_is_published(
    jobs: Jobs, leases: Leases, datasets: Datasets, job: Job, lease: Lease, clock: FakeClock
) -> None:
    clock.tick(5)

    done = leases.finish(lease, DATASET_MANIFEST)

    assert done == jobs.get(job.id)
    assert (done.state, done.finished_at, done.progress.fraction) == (JobState.SUCCEEDED, clock.now, 1)
    reference, manifest = datasets.manifest(Reference(name="pets"))
    assert (str(reference), manifest) == ("pets@1", DATASET_MANIFEST)
    assert PreprocessResult.model_validate(done.result) == PreprocessResult.of(reference, manifest)


def test_a_trained_model_is_published(jobs: Jobs, leases: Leases, models: Models) -> None:
    jobs.create(TRAIN_REQUEST)

    done = leases.finish(claimed(leases, JobKind.TRAIN).lease, MODEL_MANIFEST)

    reference, manifest = models.manifest(Reference(name="pet-cnn"))
    assert (str(reference), manifest) == ("pet-cnn@1", MODEL_MANIFEST)
    assert TrainResult.model_validate(done.result) == TrainResult.of(reference, manifest)


def test_a_cancelled_job_publishes_nothing(
    jobs: Jobs, leases: Leases, datasets: Datasets, job: Job, lease: Lease
) -> None:
    # given
    jobs.cancel(job.id)

    # when
    with pytest.raises(Cancelled):
        leases.finish(lease, DATASET_MANIFEST)

    # then
    with pytest.raises(NotFound):
        datasets.named("pets")
    assert (jobs.get(job.id).state, jobs.get(job.id).result) == (JobState.RUNNING, None)

    # and when the worker reports that it stopped
    leases.cancelled(lease)
    assert jobs.get(job.id).state == JobState.CANCELLED


def test_a_failed_publication_leaves_the_job_running(
    jobs: Jobs, leases: Leases, models: Models, job: Job, lease: Lease
) -> None:
    with pytest.raises(TypeError):
        leases.finish(lease, MODEL_MANIFEST)

    assert jobs.get(job.id).state == JobState.RUNNING
    assert models.list(10).items == ()


@pytest.mark.parametrize(
    "error", [Corrupt("a bit flipped"), ObjectsUnavailable("away"), JobFailed("an internal error")]
)
def test_a_retryable_failure_waits_before_it_runs_again(
    leases: Leases, lease: Lease, clock: FakeClock, error: TidepoolError
) -> None:
    # when
    job = leases.fail(lease, error)

    # then it has the reason, and cannot be claimed until the back-off is over
    assert (job.state, job.error) == (JobState.QUEUED, JobError(code=error.code, message=error.message))
    clock.tick(BACKOFF_S - 1)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    clock.tick(1)
    again = claimed(leases)
    assert (again.job.attempt, again.lease.fence) == (2, lease.fence + 1)


def test_the_back_off_doubles_up_to_a_limit(
    jobs: Jobs, leases: Leases, job: Job, lease: Lease, clock: FakeClock
) -> None:
    waits = []
    for _ in range(job.max_attempts - 1):
        leases.fail(lease, Corrupt("a bit flipped"))
        failed_at = clock.now
        while (claim := leases.claim(JobKind.PREPROCESS, "worker")) is None:
            clock.tick(BACKOFF_S)
        waits.append((clock.now - failed_at).total_seconds())
        lease = claim.lease

    assert waits == [BACKOFF_S, 2 * BACKOFF_S]
    assert max(waits) <= MAX_BACKOFF_S


def test_a_job_fails_when_its_attempts_are_used_up(leases: Leases, job: Job, lease: Lease, clock: FakeClock) -> None:
    for _ in range(job.max_attempts - 1):
        leases.fail(lease, Corrupt("a bit flipped"))
        clock.tick(MAX_BACKOFF_S)
        lease = claimed(leases).lease

    failed = leases.fail(lease, WorkerLost("gone"))

    assert (failed.state, failed.attempt, failed.finished_at) == (JobState.FAILED, job.max_attempts, clock.now)
    assert failed.error is not None
    assert failed.error.code == "worker_lost"


def test_a_failure_that_is_not_retryable_is_final(leases: Leases, lease: Lease) -> None:
    failed = leases.fail(lease, BadArchive("the file is not a zip archive"))

    assert (failed.state, failed.attempt) == (JobState.FAILED, 1)


def test_a_success_clears_the_error_of_an_earlier_attempt(leases: Leases, lease: Lease, clock: FakeClock) -> None:
    leases.fail(lease, Corrupt("a bit flipped"))
    clock.tick(BACKOFF_S)

    assert leases.finish(claimed(leases).lease, DATASET_MANIFEST).error is None


def test_a_released_job_is_due_at_once_and_costs_no_attempt(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, job: Job, lease: Lease
) -> None:
    # given
    leases.save_checkpoint(lease, ONNX_FILE)
    reconciler.relay(lambda kind, job_id: None)

    # when
    leases.release(lease)

    # then
    assert jobs.get(job.id).state == JobState.QUEUED
    assert reconciler.repair().woken == 1
    again = claimed(leases)
    assert (again.job.attempt, again.lease.fence, again.checkpoint) == (1, lease.fence + 1, ONNX_FILE)


STALE: list[Callable[[Leases, Lease], object]] = [
    lambda leases, lease: leases.renew(lease, PROGRESS),
    lambda leases, lease: leases.save_checkpoint(lease, ONNX_FILE),
    lambda leases, lease: leases.log(lease, "a line"),
    lambda leases, lease: leases.finish(lease, DATASET_MANIFEST),
    lambda leases, lease: leases.fail(lease, Corrupt("a bit flipped")),
    lambda leases, lease: leases.release(lease),
    lambda leases, lease: leases.cancelled(lease),
]


@pytest.mark.parametrize("outcome", ["taken over", "released", "ended", "unknown"])
def test_a_stale_attempt_changes_nothing(
    jobs: Jobs, leases: Leases, datasets: Datasets, lease: Lease, clock: FakeClock, outcome: str
) -> None:
    # given
    if outcome == "taken over":
        clock.tick(LEASE_S + 1)
        claimed(leases)
    elif outcome == "released":
        leases.release(lease)
    elif outcome == "ended":
        leases.finish(lease, DATASET_MANIFEST)
    else:
        lease = Lease("none", 1)
    before = jobs.list(JobFilter(), 10), datasets.list(10)

    # when
    for change in STALE:
        with pytest.raises(LeaseLost):
            change(leases, lease)

    # then
    assert (jobs.list(JobFilter(), 10), datasets.list(10)) == before
    last = leases.claim(JobKind.PREPROCESS, "worker")
    assert last is None or last.checkpoint is None
