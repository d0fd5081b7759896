import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Experiment, Interval, Meter, Serving
from scaling.simulation.steps import Steps
from scaling.simulation.trace import Trace, arrivals
from tests.unit.scaling.loads import policies
from tests.unit.scaling.simulation.queueing import mean_wait_md1, mean_wait_mdc

HOUR = 3600.0
ELASTIC = ScalingPolicy(min=0, max=20, idle_s=60, quiet_s=60, backlog_per_replica=16, utilization=0.7)


def served(rate: float, seconds: float = HOUR, startup_s: float = 3.0, deadline_s: float | None = None) -> Experiment:
    trace = Trace("flat", (0.0,), (rate,), seconds)
    return Experiment.of(trace, Serving(0.02, startup_s, deadline_s), seed=1)


@pytest.mark.parametrize(("servers", "utilization"), [(2, 0.7), (4, 0.8), (16, 0.9)])
def test_fixed_replicas_wait_as_long_as_queueing_theory_predicts(servers: int, utilization: float) -> None:
    outcome = served(rate=servers * utilization / 0.02).fixed(servers)
    assert outcome.mean_wait_s == pytest.approx(0.02 * mean_wait_mdc(servers, utilization), rel=0.05)


def test_one_replica_waits_as_long_as_queueing_theory_predicts() -> None:
    outcome = served(rate=0.7 / 0.02).fixed(1)
    assert outcome.mean_wait_s == pytest.approx(0.02 * mean_wait_md1(0.7), rel=0.05)


def test_jobs_of_many_steps_wait_as_long_as_queueing_theory_predicts() -> None:
    steps = Steps(seconds=0.1, count=100_000, requests_per_step=1, steps_per_request=5)
    jobs = arrivals(Trace("jobs", (0.0,), (4 * 0.7 / 0.5,), 10_000.0), steps, seed=1)
    outcome = Experiment(Serving(0.5, 5.0, jobs=True), steps, jobs).fixed(4)
    assert outcome.mean_wait_s == pytest.approx(0.5 * mean_wait_mdc(4, 0.7), rel=0.05)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    steps = draw(st.sampled_from([Steps(0.1, 0, 1, 1), Steps(1.0, 0, 20, 1), Steps(2.0, 0, 1, 5)]))
    arrived = draw(st.lists(st.sampled_from([0, 0, 1, 5]) | st.integers(0, 300), min_size=1, max_size=120))
    serving = Serving(
        service_s=steps.seconds * steps.steps_per_request / steps.requests_per_step,
        startup_s=draw(st.sampled_from([0.0, 3.0, 20.0])),
        deadline_s=draw(st.sampled_from([None, 0.0, 10.0])),
        jobs=draw(st.booleans()),
    )
    return Experiment(
        serving, Steps(steps.seconds, len(arrived), steps.requests_per_step, steps.steps_per_request), arrived
    )


@given(experiments(), policies())
def test_requests_are_conserved(experiment: Experiment, policy: ScalingPolicy) -> None:
    outcome = experiment.run(policy)
    assert outcome.arrived == sum(experiment.arrived)
    assert outcome.arrived == outcome.served + outcome.running + outcome.waiting.total() + outcome.dropped
    assert outcome.served >= 0
    assert outcome.served + outcome.running == outcome.began.total()


@given(experiments(), policies())
def test_held_replicas_stay_within_the_bounds(experiment: Experiment, policy: ScalingPolicy) -> None:
    outcome = experiment.run(policy)
    steps = experiment.steps
    assert all(policy.min <= moment.held for moment in outcome.moments)
    assert outcome.held_s >= policy.min * steps.count * steps.seconds - 1e-6
    if steps.steps_per_request == 1:  # otherwise replicas drain while new ones start
        assert all(moment.held <= policy.max for moment in outcome.moments)
        assert outcome.held_s <= policy.max * steps.count * steps.seconds + 1e-6


@given(experiments(), policies())
def test_runs_are_deterministic(experiment: Experiment, policy: ScalingPolicy) -> None:
    assert experiment.run(policy) == experiment.run(policy)


def test_an_elastic_pool_follows_its_load() -> None:
    trace = Trace("up and down", (0.0, 600.0, 1200.0), (10.0, 200.0, 0.0), 1800.0)
    outcome = Experiment.of(trace, Serving(0.02, 3.0, 10.0), seed=1).run(ELASTIC)
    held = {moment.at: moment.held for moment in outcome.moments}
    assert (held[600.0], held[1800.0]) == (1, 0)
    assert 5 <= held[1200.0] <= 8
    assert outcome.dropped == 0
    assert outcome.wait_s(0.5) == 0.0
    assert outcome.wait_s(1.0) >= 3.0


def test_a_request_without_a_replica_waits_for_one_to_start() -> None:
    steps = Steps(seconds=0.1, count=400, requests_per_step=1, steps_per_request=1)
    single = Experiment(Serving(0.1, startup_s=4.0), steps, [0] * 10 + [1] + [0] * 389)
    outcome = single.run(ELASTIC)
    assert 4.0 <= outcome.wait_s(1.0) <= 4.0 + 2.2
    assert (outcome.served, outcome.share_begun_within(3.0)) == (1, 0.0)


def test_a_request_past_its_deadline_is_dropped() -> None:
    steps = Steps(seconds=0.1, count=400, requests_per_step=1, steps_per_request=1)
    outcome = Experiment(Serving(0.1, 4.0, deadline_s=2.0), steps, [3] + [0] * 399).run(ELASTIC)
    assert (outcome.dropped, outcome.served, outcome.wait_s(0.5)) == (3, 0, float("inf"))


def test_running_jobs_keep_their_replicas() -> None:
    steps = Steps(seconds=2.0, count=200, requests_per_step=1, steps_per_request=100)
    jobs = Experiment(Serving(200.0, 2.0, jobs=True), steps, [4] + [0] * 199)
    policy = ScalingPolicy(min=0, max=9, idle_s=0, quiet_s=0, backlog_per_replica=1)
    held = [moment.held for moment in jobs.run(policy).moments]
    assert set(held[2:90]) == {4}
    assert held[-1] == 0


def test_a_load_that_needs_thousands_of_replicas() -> None:
    outcome = served(rate=100_000, seconds=120, startup_s=0).run(ELASTIC.model_copy(update={"max": 5000}))
    assert 2000 < outcome.moments[-1].held <= 5000
    assert outcome.waiting.total() == 0


def test_the_meter_averages_over_the_last_seconds() -> None:
    meter = Meter(interval_s=5.0)
    reads = [
        meter.read(Interval(arrived, busy, seats=10), at=0, ready=1, waiting=0, leases=0, oldest_s=0)
        for arrived, busy in [(10, 10), (0, 5), (2, 0), (0, 0)]
    ]
    assert [read.busy for read in reads] == [1.0, 0.75, 0.25, 0.0]
    assert [read.requests_per_minute for read in reads] == pytest.approx([120, 60, 12, 12])


def test_without_replicas_there_is_no_utilization() -> None:
    read = Meter(2.0).read(Interval(), at=4, ready=0, waiting=3, leases=0, oldest_s=1.5)
    assert (read.busy, read.waiting, read.at, read.oldest_s) == (None, 3, 4, 1.5)
