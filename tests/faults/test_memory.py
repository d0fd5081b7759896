"""An attempt that runs out of memory and is killed by the kernel, in a memory cgroup."""

import os
from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from services.storage.jobs.rows import LEASE
from tests.faults.driver import Driver, ended, stepping
from tests.faults.memory_group import Hierarchy, MemoryGroup
from tests.faults.nemesis import age_leases

LIMIT = 48 << 20
SOON_S = LEASE.total_seconds() / 3


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    hierarchy = Hierarchy.available()
    if hierarchy is None and "CI" not in os.environ:
        pytest.skip("an out-of-memory kill needs a memory cgroup: root, and a writable /sys/fs/cgroup")
    assert hierarchy is not None, "no memory cgroup can be made here: the out-of-memory kill was NOT tested"
    with MemoryGroup.made(hierarchy, LIMIT) as group:
        yield group


def test_a_job_that_runs_out_of_memory_is_retried(driver: Driver, group: MemoryGroup) -> None:
    # given a job that allocates more and more, and a limit on its process, not on its worker
    job = driver.until(driver.submit("hungry"), stepping)
    worker = driver.holder(job)
    pid, attempts = worker.pid, worker.attempts()
    group.take(attempts)

    # when the kernel kills it, then the error is recorded long before the lease expires
    failed = driver.until(job, lambda job: job.error is not None, within_s=SOON_S)
    assert group.kills == 1
    assert not any(attempt.is_running() for attempt in attempts)
    assert (failed.state, failed.error and failed.error.code) == (JobState.QUEUED, "worker_lost")

    # and the job runs again, while the worker keeps running
    age_leases(driver.cluster, living=False)
    job = driver.until(job, ended)
    assert (job.state, job.attempt, job.error) == (JobState.SUCCEEDED, 2, None)
    assert (worker.pid, worker.running()) == (pid, True)
