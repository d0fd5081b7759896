import pytest

from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Experiment, Serving
from scaling.simulation.trace import Trace
from tidepool.simulate.bounds import WaitTarget, best_bounds, most_useful, smallest_fixed

BURSTS = Trace("bursts", (0.0, 300.0, 360.0, 700.0, 760.0), (5.0, 200.0, 5.0, 200.0, 5.0), 1200.0)
POLICY = ScalingPolicy(min=1, max=1, idle_s=60, quiet_s=60, backlog_per_replica=16, utilization=0.7)


def experiment(startup_s: float) -> Experiment:
    return Experiment.of(BURSTS, Serving(0.02, startup_s, 10.0), seed=3)


def test_the_smallest_fixed_number_is_just_enough() -> None:
    bursts, target = experiment(3.0), WaitTarget(0.2, 0.99)
    fewest = smallest_fixed(bursts, target, most=12)
    assert fewest in (4, 5)
    assert target.met_by(bursts.fixed(fewest))
    assert not target.met_by(bursts.fixed(fewest - 1))


@pytest.mark.parametrize("target", [WaitTarget(0.1, 0.99), WaitTarget(5.0, 0.99), WaitTarget(9.0, 0.999)])
def test_the_bounds_meet_the_target_and_are_just_enough(target: WaitTarget) -> None:
    bursts = experiment(3.0)
    bounds = best_bounds(bursts, POLICY, target, most=12)
    assert bounds is not None
    assert target.met_by(bursts.run(bounds))
    assert bounds.max == bounds.min or not target.met_by(bursts.run(bounds.model_copy(update={"max": bounds.max - 1})))
    assert bounds.utilization == POLICY.utilization


def test_slow_starts_need_a_higher_min() -> None:
    target = WaitTarget(0.5, 0.99)
    quick, slow = (best_bounds(experiment(startup_s), POLICY, target, most=12) for startup_s in (0.1, 60.0))
    assert quick is not None
    assert slow is not None
    assert quick.min < slow.min


def test_an_impossible_target_has_no_bounds() -> None:
    impossible = WaitTarget(0.0, 1.0)
    assert smallest_fixed(experiment(3.0), impossible, most=3) is None
    assert best_bounds(experiment(3.0), POLICY, impossible, most=3) is None


def test_the_largest_bound_to_try_is_limited() -> None:
    assert most_useful(BURSTS, 0.02) == 12
    assert most_useful(Trace("large", (0.0,), (1e9,), 1.0), 1.0) == 10_000
