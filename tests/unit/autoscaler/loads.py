"""Random load traces, and the decisions that come of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from contract.pools import Decision, Measured, ScalingPolicy
from services.autoscaler.policy import decide
from services.autoscaler.policy_state import PolicyState


@dataclass(frozen=True)
class Look:
    """One look at a pool, `after` seconds after the one before, at measurements that are `age` seconds old."""

    after: float
    age: float
    ready: int | None  # None is as many as were decided
    waiting: int | None
    running: int | None
    busy: float | None
    requests_per_minute: float | None


@dataclass(frozen=True)
class Step:
    """What was seen and decided at one moment."""

    at: float
    measured: Measured
    before: int
    decision: Decision

    @property
    def after(self) -> int:
        return self.decision.replicas


def walk(policy: ScalingPolicy, looks: Sequence[Look], desired: int = 0) -> list[Step]:
    """Decide at every look."""
    now, steps = 1000.0, []
    state = PolicyState.initial(desired, now)
    for look in looks:
        now += look.after
        measured = Measured(
            at=now - look.age,
            ready=state.desired if look.ready is None else look.ready,
            waiting=look.waiting,
            running=look.running,
            busy=look.busy,
            requests_per_minute=look.requests_per_minute,
        )
        before = state.desired
        decision, state = decide(measured, policy, state, now)
        steps.append(Step(now, measured, before, decision))
    return steps


def _or_none(values: st.SearchStrategy[Any], missing: bool) -> st.SearchStrategy[Any]:
    return st.none() | values if missing else values


@st.composite
def policies(draw: st.DrawFn) -> ScalingPolicy:
    low, high = sorted(draw(st.lists(st.integers(0, 40), min_size=2, max_size=2)))
    return ScalingPolicy(
        min=low,
        max=high,
        idle_s=draw(st.sampled_from([0.0, 5.0, 30.0, 90.0])),
        quiet_s=draw(st.sampled_from([0.0, 5.0, 30.0, 90.0])),
        backlog_per_replica=draw(st.none() | st.floats(0.25, 20)),
        utilization=draw(st.none() | st.floats(0.1, 1)),
        requests_per_minute=draw(st.none() | st.floats(1, 1000)),
    )


def looks(*, missing: bool = True, most: int = 80) -> st.SearchStrategy[Look]:
    """Any measurements; with `missing`, also such that are too old or not there."""
    whole = st.sampled_from([0, 0, 1]) | st.integers(0, most)
    return st.builds(
        Look,
        after=st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0] + [40.0] * missing),
        age=st.sampled_from([0.0, 1.0] + [9.0] * missing),
        ready=st.none() | st.integers(0, most),
        waiting=_or_none(whole, missing),
        running=_or_none(whole, missing),
        busy=_or_none(st.sampled_from([0.0, 1.0]) | st.floats(0, 1), missing),
        requests_per_minute=_or_none(st.just(0.0) | st.floats(0, 5000), missing),
    )


def traces(*, missing: bool = True) -> st.SearchStrategy[list[Look]]:
    """Load over time: looks, some of which hold for a while."""
    spans = st.tuples(looks(missing=missing), st.sampled_from([1, 1, 2, 8]))
    return st.lists(spans, min_size=1, max_size=25).map(
        lambda spans: [look for look, times in spans for _ in range(times)]
    )
