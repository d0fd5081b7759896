"""Which replicas of a pool to start, stop or cordon."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from contract.supervision import State
from services.autoscaler.drivers.driver import RUNNING, Replica


class Changes(NamedTuple):
    """`rest` are those that must not take another job, so that they can go."""

    start: tuple[Replica, ...] = ()
    stop: tuple[Replica, ...] = ()
    rest: tuple[Replica, ...] = ()


def changes(replicas: Sequence[Replica], desired: int, holders: Collection[str]) -> Changes:
    """What brings a pool's replicas, in the order of their numbers, as near to `desired` as can be.

    The lowest numbers come first; who drains can come when it is gone. Those that only start go first, then the highest
    numbers; who is one of `holders`, the workers that hold jobs, finishes its job first.
    """
    running = [replica for replica in replicas if replica.state in RUNNING]
    if len(running) <= desired:
        stopped = [replica for replica in replicas if replica.state is State.STOPPED]
        return Changes(start=tuple(stopped[: desired - len(running)]))
    busy = {replica for replica in running if replica.holds_one_of(holders)}
    running.sort(key=lambda replica: (replica in busy, replica.state is State.READY, -replica.number))
    going = running[: len(running) - desired]
    return Changes(
        stop=tuple(replica for replica in going if replica not in busy),
        rest=tuple(replica for replica in going if replica in busy),
    )
