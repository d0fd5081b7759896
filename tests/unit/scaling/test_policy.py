from typing import Any

from contract.pools import Measured, ScalingPolicy
from scaling.policy import STALE_S, decide
from scaling.policy_state import PolicyState

JOBS = ScalingPolicy(min=0, max=20, idle_s=60, quiet_s=60, backlog_per_replica=2)


class Pool:
    """A pool whose replicas start immediately."""

    def __init__(self, policy: ScalingPolicy, desired: int = 0) -> None:
        self.policy = policy
        self.now = 100.0
        self.state = PolicyState.initial(desired, self.now)
        self.reason = ""

    def decide(self, *, after: float = 1.0, age: float = 0.0, **measured: Any) -> int:
        self.now += after
        values = {"waiting": 0, "running": 0, "ready": self.state.desired} | measured
        load = Measured(at=self.now - age, **values)
        decision, self.state = decide(load, self.policy, self.state, self.now)
        self.reason = decision.reason
        return decision.replicas


def test_a_pool_at_zero_starts_with_the_first_work() -> None:
    pool = Pool(JOBS)
    assert pool.decide() == 0
    assert pool.decide(waiting=1) == 1
    assert pool.reason == "Up from 0 to 1: 1 waiting and 0 running, 2 per replica"


def test_scale_up_is_immediate_and_at_most_doubles() -> None:
    pool = Pool(JOBS.model_copy(update={"max": 100}))
    assert [pool.decide(waiting=500) for _ in range(6)] == [4, 8, 16, 32, 64, 100]
    assert (
        pool.reason == "Up from 64 to 100: 500 waiting and 0 running, 2 per replica, limited to one step; at most 100"
    )


def test_scale_down_waits_for_the_quiet_window() -> None:
    pool = Pool(JOBS, desired=1)
    assert [pool.decide(waiting=10), pool.decide(waiting=6), pool.decide(waiting=2)] == [5, 5, 5]
    assert pool.reason == "Stays at 5: 2 waiting and 0 running, 2 per replica, but 5 were needed within 60 s"
    quiet = [pool.decide(after=19.5, waiting=2) for _ in range(4)]
    assert quiet == [5, 5, 3, 1]
    assert pool.reason == "Down from 3 to 1: 2 waiting and 0 running, 2 per replica, and at most 1 were needed for 60 s"


def test_a_pool_scales_to_zero_after_idle_s_without_work() -> None:
    pool = Pool(JOBS)
    assert pool.decide(running=1) == 1
    assert [pool.decide(after=10) for _ in range(7)] == [1, 1, 1, 1, 1, 1, 0]
    assert pool.reason == "Down from 1 to 0: no work for 60 s"


def test_new_work_restarts_the_idle_period() -> None:
    pool = Pool(JOBS)
    pool.decide(waiting=1)
    pool.decide(after=25)
    pool.decide(after=25, waiting=1)
    assert [pool.decide(after=25) for _ in range(4)] == [1, 1, 1, 0]


def test_scaling_to_zero_does_not_wait_for_the_quiet_window() -> None:
    pool = Pool(JOBS.model_copy(update={"idle_s": 5.0, "quiet_s": 300.0}))
    assert pool.decide(waiting=8) == 4
    assert [pool.decide(), pool.decide(after=5)] == [4, 0]


def test_an_idle_pool_keeps_its_minimum() -> None:
    pool = Pool(JOBS.model_copy(update={"min": 2}), desired=4)
    assert [pool.decide(after=20) for _ in range(5)] == [4, 4, 4, 2, 2]


def test_every_lease_keeps_a_replica() -> None:
    pool = Pool(JOBS.model_copy(update={"quiet_s": 0.0}), desired=9)
    assert pool.decide(running=7) == 7
    assert pool.decide(running=5) == 5


def test_changed_bounds_apply_immediately() -> None:
    pool = Pool(JOBS, desired=8)
    pool.policy = JOBS.model_copy(update={"max": 3})
    assert pool.decide(running=8) == 3
    assert pool.reason == "Down from 8 to 3: 8 jobs running; at most 3"
    pool.policy = JOBS.model_copy(update={"min": 19})
    assert pool.decide() == 19


def test_missing_measurements_prevent_scale_down() -> None:
    pool = Pool(JOBS.model_copy(update={"quiet_s": 0.0, "idle_s": 0.0}), desired=6)
    assert pool.decide(waiting=None) == 6
    assert pool.reason == "Stays at 6: not measured: waiting work"
    assert pool.decide(age=STALE_S + 1) == 6
    assert pool.reason == "Stays at 6: not measured: everything for 6 s"
    assert pool.decide() == 0


def test_the_other_measurements_can_still_scale_up() -> None:
    policy = JOBS.model_copy(update={"utilization": 0.5})
    assert Pool(policy, desired=2).decide(busy=None, waiting=12) == 6
    assert Pool(policy, desired=2).decide(busy=None, waiting=2) == 2


def test_a_missing_measurement_is_not_idleness() -> None:
    pool = Pool(JOBS, desired=1)
    pool.decide(after=20)
    pool.decide(after=20, running=None)
    assert [pool.decide(after=20) for _ in range(4)] == [1, 1, 1, 0]


def test_a_long_gap_restarts_the_windows() -> None:
    pool = Pool(JOBS, desired=5)
    assert [pool.decide(after=1000), pool.decide(after=20), pool.decide(after=20), pool.decide(after=20)] == [
        5,
        5,
        5,
        0,
    ]


def test_active_requests_do_not_prevent_scale_down() -> None:
    policy = ScalingPolicy(min=0, max=8, quiet_s=0, idle_s=60, utilization=0.5)
    assert Pool(policy, desired=8).decide(busy=0.1) == 2
    assert Pool(policy, desired=1).decide(busy=0.001) == 1
