"""Workers that live but do no work are found and replaced."""

import signal

from contract.jobs import JobState
from tests.faults.driver import Driver, ended, stepping
from tests.faults.kept import signal_all
from tests.faults.nemesis import age_leases
from tests.faults.proxy import Mode

FOUND_S = 60.0


def test_a_frozen_attempt_and_deaf_workers_are_found_within_a_minute(driver: Driver) -> None:
    # given an attempt that is stopped, and connections to Redis on which nothing arrives any more
    frozen = driver.until(driver.submit("slow"), stepping)
    signal_all(driver.holder(frozen).attempts(), signal.SIGSTOP)
    driver.cluster.proxies["redis"].set(Mode.STALE)
    waiting = driver.submit("quick")

    # when nobody helps
    driver.wait(lambda: driver.job(frozen).error is not None, FOUND_S)
    driver.wait(lambda: ended(driver.job(waiting)), FOUND_S)

    # then the attempt was ended and charged, both jobs run, and all workers hear wakeups again
    age_leases(driver.cluster, living=False)
    assert driver.until(frozen, ended).attempt == 2
    assert driver.job(waiting).state == JobState.SUCCEEDED
    again = driver.submit("divides-later")
    assert driver.until(again, ended).state == JobState.SUCCEEDED
