"""Workers that are alive but do not work are detected and replaced."""

import signal

import pytest

from contract.jobs import JobState
from tests.faults.driver import Driver, ended, stepping
from tests.faults.nemesis import age_leases
from tests.faults.process import signal_all
from tests.faults.proxy import Mode

DETECTED_S = 60.0


@pytest.mark.slow
def test_a_frozen_attempt_and_deaf_workers_are_detected_within_a_minute(driver: Driver) -> None:
    # given a stopped attempt, and stale connections to Redis
    frozen = driver.until(driver.submit("slow"), stepping)
    signal_all(driver.holder(frozen).attempts(), signal.SIGSTOP)
    driver.cluster.proxies["redis"].set(Mode.STALE)
    waiting = driver.submit("quick")

    # when both are detected
    driver.wait(lambda: driver.job(frozen).error is not None, DETECTED_S)
    driver.wait(lambda: ended(driver.job(waiting)), DETECTED_S)

    # then the attempt was killed and counted, both jobs ran, and all workers receive wake-up messages again
    age_leases(driver.cluster, living=False)
    assert driver.until(frozen, ended).attempt == 2
    assert driver.job(waiting).state == JobState.SUCCEEDED
    again = driver.submit("divides-later")
    assert driver.until(again, ended).state == JobState.SUCCEEDED
