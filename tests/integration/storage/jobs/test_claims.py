"""Which job a worker claims."""

from contract.jobs import JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE
from tests.examples import ONNX_FILE, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, job_in, together
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1


def of_priority(priority: int) -> PreprocessRequest:
    return PREPROCESS_REQUEST.model_copy(update={"priority": priority})


def test_a_claim_starts_the_job(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    # given
    job = jobs.create(PREPROCESS_REQUEST)
    clock.tick(5)

    # when
    claim = claimed(leases)

    # then
    assert claim.job == jobs.get(job.id)
    assert (claim.job.state, claim.job.attempt, claim.job.started_at) == (JobState.RUNNING, 1, clock.now)
    assert (claim.lease.job_id, claim.lease.fence, claim.checkpoint) == (job.id, 1, None)


def test_the_higher_priority_goes_first_and_then_the_older_job(jobs: Jobs, leases: Leases) -> None:
    made = [jobs.create(of_priority(priority)).id for priority in (0, 5, -5, 5, 0)]

    taken = [claimed(leases).job.id for _ in made]

    assert taken == [made[1], made[3], made[0], made[4], made[2]]


def test_a_worker_claims_only_jobs_of_its_kind(jobs: Jobs, leases: Leases) -> None:
    jobs.create(TRAIN_REQUEST)

    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    assert claimed(leases, JobKind.TRAIN).job.kind == JobKind.TRAIN


def test_a_job_is_claimed_by_one_worker(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    jobs.create(PREPROCESS_REQUEST)
    claimed(leases)
    clock.tick(LEASE.total_seconds())

    assert leases.claim(JobKind.PREPROCESS, "another") is None


def test_a_job_past_its_deadline_cannot_be_claimed(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    jobs.create(PREPROCESS_REQUEST.model_copy(update={"deadline_s": 10}))

    clock.tick(10)

    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_a_job_that_has_ended_cannot_be_claimed(leases: Leases, database: Database, clock: FakeClock) -> None:
    for state in JobState:
        if state.terminal:
            job_in(state, database, clock)
    clock.tick(EXPIRED_S)

    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_an_expired_lease_lets_another_worker_claim_the_job(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    # given an attempt that saved a checkpoint and stopped renewing
    jobs.create(PREPROCESS_REQUEST)
    first = claimed(leases)
    leases.save_checkpoint(first.lease, ONNX_FILE)
    clock.tick(EXPIRED_S)

    # when
    second = claimed(leases)

    # then it resumes under a higher fence, and the failure is charged
    assert (second.lease.job_id, second.lease.fence) == (first.lease.job_id, first.lease.fence + 1)
    assert (second.job.attempt, second.checkpoint) == (2, ONNX_FILE)
    assert second.job.started_at == first.job.started_at


def test_an_abandoned_job_is_claimed_until_its_attempts_are_used_up(
    jobs: Jobs, leases: Leases, clock: FakeClock
) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    for _ in range(job.max_attempts):
        claimed(leases)
        clock.tick(EXPIRED_S)

    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_an_abandoned_job_with_a_requested_cancellation_cannot_be_claimed(
    jobs: Jobs, leases: Leases, clock: FakeClock
) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    claimed(leases)
    jobs.cancel(job.id)
    clock.tick(EXPIRED_S)

    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_workers_that_claim_concurrently_get_different_jobs(jobs: Jobs, leases: Leases) -> None:
    # given
    made = {jobs.create(PREPROCESS_REQUEST).id for _ in range(8)}

    # when
    claims = together(8, lambda index: leases.claim(JobKind.PREPROCESS, f"worker-{index}"))

    # then
    assert {claim.lease.job_id for claim in claims if claim} == made


def test_only_one_of_several_workers_claims_an_abandoned_job(jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    # given a job with an expired lease
    jobs.create(PREPROCESS_REQUEST)
    claimed(leases)
    clock.tick(EXPIRED_S)

    # when
    claims = together(8, lambda index: leases.claim(JobKind.PREPROCESS, f"worker-{index}"))

    # then
    assert [claim.lease.fence for claim in claims if claim] == [2]
