"""Random load traces and the decisions that they cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from contract.pools import Decision, Measured, ScalingPolicy
from scaling.policy import decide
from scaling.policy_state import PolicyState


@dataclass(frozen=True)
class Observation:
    """Measurements of a pool, `age` seconds old, `after` seconds after the previous observation."""

    after: float
    age: float
    ready: int | None  # None: as many as decided
    waiting: int | None
    running: int | None
    busy: float | None
    requests_per_minute: float | None


@dataclass(frozen=True)
class Step:
    """The measurements and the decision at one moment."""

    at: float
    measured: Measured
    before: int
    decision: Decision

    @property
    def after(self) -> int:
        return self.decision.replicas


def walk(policy: ScalingPolicy, observations: Sequence[Observation], desired: int = 0) -> list[Step]:
    """Decide at every observation."""
    now, steps = 1000.0, []
    state = PolicyState.initial(desired, now)
    for observation in observations:
        now += observation.after
        measured = Measured(
            at=now - observation.age,
            ready=state.desired if observation.ready is None else observation.ready,
            waiting=observation.waiting,
            running=observation.running,
            busy=observation.busy,
            requests_per_minute=observation.requests_per_minute,
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


def observations(*, missing: bool = True, most: int = 80) -> st.SearchStrategy[Observation]:
    """Generate any measurements; with `missing`, also outdated or absent ones."""
    whole = st.sampled_from([0, 0, 1]) | st.integers(0, most)
    return st.builds(
        Observation,
        after=st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0] + [40.0] * missing),
        age=st.sampled_from([0.0, 1.0] + [9.0] * missing),
        ready=st.none() | st.integers(0, most),
        waiting=_or_none(whole, missing),
        running=_or_none(whole, missing),
        busy=_or_none(st.sampled_from([0.0, 1.0]) | st.floats(0, 1), missing),
        requests_per_minute=_or_none(st.just(0.0) | st.floats(0, 5000), missing),
    )


def traces(*, missing: bool = True) -> st.SearchStrategy[list[Observation]]:
    """Generate a load over time: observations, some of which repeat."""
    spans = st.tuples(observations(missing=missing), st.sampled_from([1, 1, 2, 8]))
    return st.lists(spans, min_size=1, max_size=25).map(
        lambda spans: [observation for observation, times in spans for _ in range(times)]
    )
