from typing import Any

from contract.pools import Measured, ScalingPolicy
from services.autoscaler.policy import STALE_S, decide
from services.autoscaler.policy_state import PolicyState

JOBS = ScalingPolicy(min=0, max=20, idle_s=60, quiet_s=60, backlog_per_replica=2)


class Pool:
    """A pool whose replicas are there at once."""

    def __init__(self, policy: ScalingPolicy, desired: int = 0) -> None:
        self.policy = policy
        self.now = 100.0
        self.state = PolicyState.initial(desired, self.now)
        self.reason = ""

    def see(self, *, after: float = 1.0, age: float = 0.0, **measured: Any) -> int:
        self.now += after
        values = {"waiting": 0, "running": 0, "ready": self.state.desired} | measured
        seen = Measured(at=self.now - age, **values)
        decision, self.state = decide(seen, self.policy, self.state, self.now)
        self.reason = decision.reason
        return decision.replicas


def test_from_zero_at_the_first_work() -> None:
    pool = Pool(JOBS)
    assert pool.see() == 0
    assert pool.see(waiting=1) == 1
    assert pool.reason == "Up from 0 to 1: 1 wait and 0 run, 2 a replica"


def test_more_come_at_once_and_double_at_most() -> None:
    pool = Pool(JOBS.model_copy(update={"max": 100}))
    assert [pool.see(waiting=500) for _ in range(6)] == [4, 8, 16, 32, 64, 100]
    assert (
        pool.reason == "Up from 64 to 100: 500 wait and 0 run, 2 a replica, but one step goes no further; at most 100"
    )


def test_fewer_come_after_a_quiet_window() -> None:
    pool = Pool(JOBS, desired=1)
    assert [pool.see(waiting=10), pool.see(waiting=6), pool.see(waiting=2)] == [5, 5, 5]
    assert pool.reason == "Stays at 5: 2 wait and 0 run, 2 a replica, but 5 were wanted within 60 s"
    quiet = [pool.see(after=19.5, waiting=2) for _ in range(4)]
    assert quiet == [5, 5, 3, 1]
    assert pool.reason == "Down from 3 to 1: 2 wait and 0 run, 2 a replica, and no more than 1 were wanted for 60 s"


def test_to_zero_after_a_while_without_work_and_not_before() -> None:
    pool = Pool(JOBS)
    assert pool.see(running=1) == 1
    assert [pool.see(after=10) for _ in range(7)] == [1, 1, 1, 1, 1, 1, 0]
    assert pool.reason == "Down from 1 to 0: no work for 60 s"


def test_work_in_between_starts_the_while_anew() -> None:
    pool = Pool(JOBS)
    pool.see(waiting=1)
    pool.see(after=25)
    pool.see(after=25, waiting=1)
    assert [pool.see(after=25) for _ in range(4)] == [1, 1, 1, 0]


def test_an_idle_pool_does_not_wait_for_the_quiet_window() -> None:
    pool = Pool(JOBS.model_copy(update={"idle_s": 5.0, "quiet_s": 300.0}))
    assert pool.see(waiting=8) == 4
    assert [pool.see(), pool.see(after=5)] == [4, 0]


def test_an_idle_pool_keeps_its_minimum() -> None:
    pool = Pool(JOBS.model_copy(update={"min": 2}), desired=4)
    assert [pool.see(after=20) for _ in range(5)] == [4, 4, 4, 2, 2]


def test_no_lease_loses_its_replica() -> None:
    pool = Pool(JOBS.model_copy(update={"quiet_s": 0.0}), desired=9)
    assert pool.see(running=7) == 7
    assert pool.see(running=5) == 5


def test_bounds_hold_at_once() -> None:
    pool = Pool(JOBS, desired=8)
    pool.policy = JOBS.model_copy(update={"max": 3})
    assert pool.see(running=8) == 3
    assert pool.reason == "Down from 8 to 3: 8 jobs run; at most 3"
    pool.policy = JOBS.model_copy(update={"min": 19})
    assert pool.see() == 19


def test_missing_measurements_hold() -> None:
    pool = Pool(JOBS.model_copy(update={"quiet_s": 0.0, "idle_s": 0.0}), desired=6)
    assert pool.see(waiting=None) == 6
    assert pool.reason == "Stays at 6: not measured: what waits"
    assert pool.see(age=STALE_S + 1) == 6
    assert pool.reason == "Stays at 6: not measured: anything for 6 s"
    assert pool.see() == 0


def test_what_is_measured_may_ask_for_more() -> None:
    policy = JOBS.model_copy(update={"utilization": 0.5})
    assert Pool(policy, desired=2).see(busy=None, waiting=12) == 6
    assert Pool(policy, desired=2).see(busy=None, waiting=2) == 2


def test_a_missing_measurement_is_not_idleness() -> None:
    pool = Pool(JOBS, desired=1)
    pool.see(after=20)
    pool.see(after=20, running=None)
    assert [pool.see(after=20) for _ in range(4)] == [1, 1, 1, 0]


def test_after_a_gap_the_windows_begin_anew() -> None:
    pool = Pool(JOBS, desired=5)
    assert [pool.see(after=1000), pool.see(after=20), pool.see(after=20), pool.see(after=20)] == [5, 5, 5, 0]


def test_requests_under_way_hold_no_replica_up() -> None:
    policy = ScalingPolicy(min=0, max=8, quiet_s=0, idle_s=60, utilization=0.5)
    assert Pool(policy, desired=8).see(busy=0.1) == 2
    assert Pool(policy, desired=1).see(busy=0.001) == 1
