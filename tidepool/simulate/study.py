"""Compare ways to provision a pool for one load."""

from dataclasses import dataclass

from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Experiment, Serving
from scaling.simulation.outcome import Outcome
from scaling.simulation.trace import Trace
from tidepool.simulate.bounds import WaitTarget, best_bounds, most_useful, smallest_fixed
from tidepool.simulate.report import ReplicaBounds, StudyReport, StudyRow

REQUESTED, RECOMMENDED, FEWEST, AT_MAX = "as asked", "recommended", "fixed, the fewest", "fixed at max"


@dataclass(frozen=True)
class Study:
    """The report, and the outcome of each of its rows."""

    report: StudyReport
    outcomes: dict[str, Outcome]


def study(
    trace: Trace, serving: Serving, policy: ScalingPolicy, target: WaitTarget, *, seed: int, price: float
) -> Study:
    """Serve a trace with the given policy, with bounds that meet the target, and with fixed numbers of replicas."""
    experiment = Experiment.of(trace, serving, seed)
    most = max(policy.max, most_useful(trace, serving.service_s))
    policies = {REQUESTED: policy}
    recommended = best_bounds(experiment, policy, target, most)
    if recommended is not None:
        policies[RECOMMENDED] = recommended
    fewest = smallest_fixed(experiment, target, most)
    if fewest is not None:
        policies[FEWEST] = ScalingPolicy(min=fewest, max=fewest)
    policies[AT_MAX] = ScalingPolicy(min=policy.max, max=policy.max)
    outcomes = {name: experiment.run(candidate) for name, candidate in policies.items()}
    in_time_s = None if serving.deadline_s is None else serving.deadline_s - serving.service_s
    rows = (
        StudyRow.of(name, candidate, outcomes[name], in_time_s=in_time_s, price=price)
        for name, candidate in policies.items()
    )
    report = StudyReport(
        trace=trace.name,
        seconds=trace.seconds,
        requests=sum(experiment.arrived),
        step_s=experiment.steps.seconds,
        wait_target_s=target.seconds,
        wait_share=target.share,
        policy=policy,
        rows=tuple(rows),
        recommended=None if recommended is None else ReplicaBounds(min=recommended.min, max=recommended.max),
    )
    return Study(report, outcomes)
