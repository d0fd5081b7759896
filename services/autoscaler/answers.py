"""The only place for how many replicas each target of a scaling policy asks for.

The formulas are those of the Kubernetes Horizontal Pod Autoscaler (HPA),
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from contract.pools import MOST_REPLICAS, Measured, ScalingPolicy

TOLERANCE = 0.1  # the HPA's: an average this near to its target changes nothing
DEFAULT_BACKLOG = 1.0  # of a policy without any target: a replica for each job


class Answer(NamedTuple):
    """So many replicas, and what for."""

    replicas: int
    because: str


def answers(measured: Measured, policy: ScalingPolicy, desired: int) -> list[Answer]:
    """What each target asks for, as far as its measurement is there, when `desired` replicas were wanted last."""
    found = [*_needed(measured), *_backlog(measured, policy), *_busy(measured, policy, desired)]
    return found + list(_requests(measured, policy, desired))


def missing(measured: Measured, policy: ScalingPolicy) -> list[str]:
    """The measurements that the policy needs and does not have, in words."""
    lacks = {
        "what waits": measured.waiting is None,
        "what runs": measured.running is None,
        "how busy the replicas are": policy.utilization and measured.ready != 0 and measured.busy is None,
        "the requests a minute": policy.requests_per_minute and measured.requests_per_minute is None,
    }
    return [name for name, lacking in lacks.items() if lacking]


def has_work(measured: Measured) -> bool:
    """Whether anything waits, runs, computes or arrives, as far as it was measured."""
    return bool(measured.waiting or measured.running or measured.busy or measured.requests_per_minute)


def _needed(measured: Measured) -> Iterator[Answer]:
    """One replica where there is work, as KEDA's activation; one for each lease, which would lose its work."""
    yield Answer(1, "there is work") if has_work(measured) else Answer(0, "there is no work")
    if measured.running:
        yield Answer(_whole(measured.running), f"{measured.running} jobs run")


def _backlog(measured: Measured, policy: ScalingPolicy) -> Iterator[Answer]:
    """The HPA's AverageValue without its tolerance, since jobs can be counted: ceil((waiting + running) / target)."""
    target = policy.backlog_per_replica
    if target is None and policy.utilization is None and policy.requests_per_minute is None:
        target = DEFAULT_BACKLOG
    if target is not None and measured.waiting is not None and measured.running is not None:
        because = f"{measured.waiting} wait and {measured.running} run, {target:g} a replica"
        yield Answer(_whole((measured.waiting + measured.running) / target), because)


def _busy(measured: Measured, policy: ScalingPolicy, desired: int) -> Iterator[Answer]:
    """The HPA's Utilization: ceil(ready * busy / target).

    While replicas start, busy ones are no reason for fewer: the HPA, too, counts those that start as idle and then
    holds if that would turn its answer round.
    """
    if policy.utilization is None:
        return
    if measured.ready == 0:
        if desired:
            yield Answer(desired, "none is ready yet")
    elif measured.ready is not None and measured.busy is not None:
        because = f"busy {measured.busy:.0%} of the time, {policy.utilization:.0%} is meant"
        exact = measured.ready * measured.busy / policy.utilization
        if measured.busy < (1 - TOLERANCE) * policy.utilization:
            yield Answer(_whole(exact), because)
        else:
            yield Answer(max(desired, _tolerant(exact, desired)), because)


def _requests(measured: Measured, policy: ScalingPolicy, desired: int) -> Iterator[Answer]:
    """The HPA's AverageValue: ceil(requests a minute / target), with its tolerance."""
    rate, target = measured.requests_per_minute, policy.requests_per_minute
    if target is not None and rate is not None:
        yield Answer(_tolerant(rate / target, desired), f"{rate:.0f} requests a minute, {target:g} a replica")


def _tolerant(exact: float, desired: int) -> int:
    return desired if abs(exact - desired) <= TOLERANCE * desired else _whole(exact)


def _whole(exact: float) -> int:
    return math.ceil(min(exact, MOST_REPLICAS) - 1e-9)  # 0.3 / 0.1 is 3, whatever floats say
