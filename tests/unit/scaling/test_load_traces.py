"""Properties of every scaling policy under every load."""

import math

from hypothesis import given
from hypothesis import strategies as st

from contract.pools import ScalingPolicy
from scaling.policy import STALE_S
from scaling.targets import missing
from tests.unit.scaling.loads import Observation, Step, policies, traces, walk

desired = st.integers(0, 60)


def is_measured(step: Step, policy: ScalingPolicy) -> bool:
    return step.at - step.measured.at <= STALE_S and not missing(step.measured, policy)


@given(policies(), traces(), desired)
def test_the_bounds_always_hold(policy: ScalingPolicy, trace: list[Observation], first: int) -> None:
    assert all(policy.min <= step.after <= policy.max for step in walk(policy, trace, first))


@given(policies(), traces(missing=False), desired)
def test_every_lease_keeps_a_replica_within_the_bounds(
    policy: ScalingPolicy, trace: list[Observation], first: int
) -> None:
    for step in walk(policy, trace, first):
        assert step.after >= min(step.measured.running or 0, policy.max)


@given(policies(), traces(), desired)
def test_the_same_load_gets_the_same_decisions(policy: ScalingPolicy, trace: list[Observation], first: int) -> None:
    assert walk(policy, trace, first) == walk(policy, trace, first)


@given(policies(), traces())
def test_new_replicas_stay_for_a_cooldown(policy: ScalingPolicy, trace: list[Observation]) -> None:
    cooldown = min(policy.quiet_s, policy.idle_s) if policy.min == 0 else policy.quiet_s
    scaled_up_at = -math.inf
    for step in walk(policy, trace, policy.min):
        if step.after > step.before:
            scaled_up_at = step.at
        if step.after < step.before:
            assert step.at - scaled_up_at >= cooldown


@given(policies(), traces(), desired)
def test_nothing_is_scaled_down_while_measurements_are_missing(
    policy: ScalingPolicy, trace: list[Observation], first: int
) -> None:
    for step in walk(policy, trace, first):
        if not is_measured(step, policy):
            assert step.after >= min(step.before, policy.max)


@given(policies(), traces(), desired)
def test_a_step_at_most_doubles_or_adds_four(policy: ScalingPolicy, trace: list[Observation], first: int) -> None:
    for step in walk(policy, trace, first):
        assert step.after <= max(2 * step.before, step.before + 4, step.measured.running or 0, policy.min)


@given(policies(), traces(), desired)
def test_the_last_replica_stops_only_after_idle_s_without_work(
    policy: ScalingPolicy, trace: list[Observation], first: int
) -> None:
    idle_since = None
    for step in walk(policy, trace, first):
        load = step.measured
        work = load.waiting or load.running or load.busy or load.requests_per_minute
        if work or not is_measured(step, policy):
            idle_since = None
        elif idle_since is None:
            idle_since = step.at
        if step.after == 0 < step.before and policy.max > 0:
            assert idle_since is not None
            assert step.at - idle_since >= policy.idle_s


@given(policies(), traces(), desired)
def test_waiting_work_always_has_a_replica(policy: ScalingPolicy, trace: list[Observation], first: int) -> None:
    for step in walk(policy, trace, first):
        if policy.max and step.measured.waiting and step.at - step.measured.at <= STALE_S:
            assert step.after >= 1


@given(policies(), traces(), desired, st.integers(1, 500), st.floats(0.25, 20))
def test_the_needed_number_is_reached_in_few_steps(
    policy: ScalingPolicy, trace: list[Observation], first: int, waiting: int, backlog: float
) -> None:
    policy = policy.model_copy(update={"backlog_per_replica": backlog})
    load = Observation(1.0, 0.0, ready=None, waiting=waiting, running=0, busy=1.0, requests_per_minute=None)
    last = walk(policy, [*trace, *[load] * 6], first)[-1]
    assert last.after >= min(policy.max, math.ceil(waiting / backlog - 1e-9))
