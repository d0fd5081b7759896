"""The number of replicas that each target of a scaling policy proposes.

The formulas are those of the Kubernetes Horizontal Pod Autoscaler (HPA),
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from contract.pools import MOST_REPLICAS, Measured, ScalingPolicy

TOLERANCE = 0.1  # the HPA's default: an average this close to its target changes nothing
DEFAULT_BACKLOG = 1.0  # for a policy without any target: one replica per job


class Proposal(NamedTuple):
    """A number of replicas and the reason for it."""

    replicas: int
    reason: str


def proposals(measured: Measured, policy: ScalingPolicy, desired: int) -> list[Proposal]:
    """Return the proposal of each target that was measured; `desired` is the last decision."""
    jobs = [*_needed(measured), *_backlog(measured, policy), *_busy(measured, policy, desired)]
    return jobs + list(_requests(measured, policy, desired))


def missing(measured: Measured, policy: ScalingPolicy) -> list[str]:
    """Name the measurements that the policy needs and does not have."""
    absent = {
        "waiting work": measured.waiting is None,
        "running work": measured.running is None,
        "utilization": policy.utilization and measured.ready != 0 and measured.busy is None,
        "requests per minute": policy.requests_per_minute and measured.requests_per_minute is None,
    }
    return [name for name, is_absent in absent.items() if is_absent]


def has_work(measured: Measured) -> bool:
    """Return whether any measurement shows waiting, running, computing or arriving work."""
    return bool(measured.waiting or measured.running or measured.busy or measured.requests_per_minute)


def _needed(measured: Measured) -> Iterator[Proposal]:
    """Propose one replica if there is work, as KEDA's activation does, and one per lease to keep its work."""
    yield Proposal(1, "there is work") if has_work(measured) else Proposal(0, "there is no work")
    if measured.running:
        yield Proposal(_whole(measured.running), f"{measured.running} jobs running")


def _backlog(measured: Measured, policy: ScalingPolicy) -> Iterator[Proposal]:
    """The HPA's AverageValue without its tolerance, since jobs can be counted: ceil((waiting + running) / target)."""
    target = policy.backlog_per_replica
    if target is None and policy.utilization is None and policy.requests_per_minute is None:
        target = DEFAULT_BACKLOG
    if target is not None and measured.waiting is not None and measured.running is not None:
        reason = f"{measured.waiting} waiting and {measured.running} running, {target:g} per replica"
        yield Proposal(_whole((measured.waiting + measured.running) / target), reason)


def _busy(measured: Measured, policy: ScalingPolicy, desired: int) -> Iterator[Proposal]:
    """The HPA's Utilization: ceil(ready * busy / target).

    Busy replicas never propose fewer while others start. The HPA also counts starting replicas as idle, and keeps the
    current count if that would reverse the direction of scaling.
    """
    if policy.utilization is None:
        return
    if measured.ready == 0:
        if desired:
            yield Proposal(desired, "no replica is ready yet")
    elif measured.ready is not None and measured.busy is not None:
        reason = f"utilization {measured.busy:.0%}, target {policy.utilization:.0%}"
        exact = measured.ready * measured.busy / policy.utilization
        if measured.busy < (1 - TOLERANCE) * policy.utilization:
            yield Proposal(_whole(exact), reason)
        else:
            yield Proposal(max(desired, _tolerant(exact, desired)), reason)


def _requests(measured: Measured, policy: ScalingPolicy, desired: int) -> Iterator[Proposal]:
    """The HPA's AverageValue: ceil(requests per minute / target), with its tolerance."""
    rate, target = measured.requests_per_minute, policy.requests_per_minute
    if target is not None and rate is not None:
        yield Proposal(_tolerant(rate / target, desired), f"{rate:.0f} requests per minute, {target:g} per replica")


def _tolerant(exact: float, desired: int) -> int:
    return desired if abs(exact - desired) <= TOLERANCE * desired else _whole(exact)


def _whole(exact: float) -> int:
    return math.ceil(min(exact, MOST_REPLICAS) - 1e-9)  # tolerate rounding: 0.3 / 0.1 is 3
