"""A cancellation takes effect, whatever the job's worker does."""

import pytest

from contract.errors import Cancelled, Conflict, Corrupt, Invalid, LeaseLost
from contract.jobs import Job, JobKind, JobState
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.sweep.reconciler import CANCEL_WITHIN, Reconciler, Repairs
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, ONNX_FILE, PROGRESS, TRAIN_REQUEST
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1


def test_renewing_the_lease_of_a_cancelled_job_raises_cancelled(
    jobs: Jobs, leases: Leases, job: Job, lease: Lease
) -> None:
    jobs.cancel(job.id)

    with pytest.raises(Cancelled):
        leases.renew(lease, PROGRESS)


def test_a_failure_after_a_cancellation_ends_as_cancelled(jobs: Jobs, leases: Leases, job: Job, lease: Lease) -> None:
    jobs.cancel(job.id)

    stopped = leases.fail(lease, Corrupt("a bit flipped"))

    assert (stopped.state, stopped.error) == (JobState.CANCELLED, None)


def test_releasing_a_cancelled_job_ends_it(jobs: Jobs, leases: Leases, job: Job, lease: Lease) -> None:
    jobs.cancel(job.id)

    leases.release(lease)

    assert jobs.get(job.id).state == JobState.CANCELLED


def test_an_abandoned_job_with_a_requested_cancellation_is_cancelled(
    jobs: Jobs, reconciler: Reconciler, job: Job, lease: Lease, clock: FakeClock
) -> None:
    jobs.cancel(job.id)
    clock.tick(EXPIRED_S)

    assert reconciler.repair() == Repairs(requeued=0, failed=0, cancelled=1, expired=0, woken=0)

    job = jobs.get(job.id)
    assert (job.state, job.finished_at, job.error) == (JobState.CANCELLED, clock.now, None)


@pytest.mark.parametrize("worker", ["gone", "deaf"])
def test_a_cancellation_takes_effect_even_if_the_worker_does_not_obey(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, job: Job, lease: Lease, clock: FakeClock, worker: str
) -> None:
    # given a running job that was cancelled several times, while its worker is gone or does not stop
    jobs.cancel(job.id)
    for _ in range(2):
        clock.tick(CANCEL_WITHIN.total_seconds() / 2)
        jobs.cancel(job.id)
        if worker == "deaf":
            with pytest.raises(Cancelled):
                leases.renew(lease, PROGRESS)

    # when the time limit has passed
    assert reconciler.repair().cancelled == 0
    clock.tick(1)
    assert reconciler.repair() == Repairs(requeued=0, failed=0, cancelled=1, expired=0, woken=0)

    # then it is cancelled, and later calls of the worker have no effect
    assert (jobs.get(job.id).state, jobs.get(job.id).finished_at) == (JobState.CANCELLED, clock.now)
    with pytest.raises(LeaseLost):
        leases.finish(lease, DATASET_MANIFEST)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_a_running_training_learns_that_it_should_keep_its_best_model(jobs: Jobs, leases: Leases) -> None:
    training = jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    assert not leases.renew(lease)

    stopping = jobs.cancel(training.id, keep_best=True)

    assert (stopping.state, stopping.progress.message) == (
        JobState.RUNNING,
        "stopping, the best model so far is kept",
    )
    assert leases.renew(lease)
    assert leases.finish(lease, MODEL_MANIFEST).state == JobState.SUCCEEDED


def test_a_training_that_waits_with_a_checkpoint_runs_once_more_to_keep_its_best_model(
    jobs: Jobs, leases: Leases, clock: FakeClock
) -> None:
    # given a training that failed after its first epoch and waits for its next attempt
    training = jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    leases.save_checkpoint(lease, ONNX_FILE)
    leases.fail(lease, Corrupt("a bit flipped"))
    assert leases.claim(JobKind.TRAIN, "worker") is None

    assert jobs.cancel(training.id, keep_best=True).state == JobState.QUEUED

    claim = claimed(leases, JobKind.TRAIN)
    assert (claim.checkpoint, claim.keep_best) == (ONNX_FILE, True)


def test_a_training_without_a_model_is_cancelled_at_once(jobs: Jobs) -> None:
    training = jobs.create(TRAIN_REQUEST)

    assert jobs.cancel(training.id, keep_best=True).state == JobState.CANCELLED


def test_a_cancellation_still_stops_a_training_that_keeps_its_best_model(jobs: Jobs, leases: Leases) -> None:
    training = jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    jobs.cancel(training.id, keep_best=True)

    jobs.cancel(training.id)

    with pytest.raises(Cancelled):
        leases.renew(lease)


def test_a_training_that_has_ended_keeps_nothing_more(jobs: Jobs, leases: Leases) -> None:
    training = jobs.create(TRAIN_REQUEST)
    leases.finish(claimed(leases, JobKind.TRAIN).lease, MODEL_MANIFEST)

    with pytest.raises(Conflict, match="already succeeded"):
        jobs.cancel(training.id, keep_best=True)


def test_only_a_training_can_keep_its_best_model(jobs: Jobs, job: Job) -> None:
    with pytest.raises(Invalid, match="applies to training jobs, and this is a preprocess job"):
        jobs.cancel(job.id, keep_best=True)
