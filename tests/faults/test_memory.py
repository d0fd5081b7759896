"""An attempt that runs out of memory and is killed by the kernel, in a memory cgroup if one can be made here."""

import os
from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from services.storage.jobs.rows import LEASE
from tests.faults.driver import Driver, ended, stepping
from tests.faults.memory_group import Hierarchy, MemoryGroup, WatchedProcesses
from tests.faults.nemesis import age_leases

LIMIT = 48 << 20
SOON_S = LEASE.total_seconds() / 3


@pytest.fixture
def group() -> Iterator[MemoryGroup | WatchedProcesses]:
    """A group of the kernel, which needs root and a writable /sys/fs/cgroup; otherwise the test kills at the limit."""
    hierarchy = Hierarchy.available()
    assert hierarchy is not None or "CI" not in os.environ, "no memory cgroup: the kernel's own kill was NOT tested"
    with WatchedProcesses.made(LIMIT) if hierarchy is None else MemoryGroup.made(hierarchy, LIMIT) as group:
        yield group


def test_a_job_that_runs_out_of_memory_is_retried(driver: Driver, group: MemoryGroup | WatchedProcesses) -> None:
    # given a job that allocates more and more, and a limit on its process, not on its worker
    job = driver.until(driver.submit("hungry"), stepping)
    worker = driver.holder(job)
    pid, attempts = worker.pid, worker.attempts()
    group.take(attempts)

    # when it is killed at the limit, then the error is recorded long before the lease expires
    failed = driver.until(job, lambda job: job.error is not None, within_s=SOON_S)
    assert group.kills == 1
    assert not any(attempt.is_running() for attempt in attempts)
    assert (failed.state, failed.error and failed.error.code) == (JobState.QUEUED, "worker_lost")

    # and the job runs again, while the worker keeps running
    age_leases(driver.cluster, living=False)
    job = driver.until(job, ended)
    assert (job.state, job.attempt, job.error) == (JobState.SUCCEEDED, 2, None)
    assert (worker.pid, worker.running()) == (pid, True)
