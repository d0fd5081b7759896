"""Chooses the replicas of a pool to start, stop or cordon."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from contract.supervision import State
from services.autoscaler.drivers.driver import RUNNING, Replica


class Changes(NamedTuple):
    """The replicas to start, stop and cordon; a cordoned replica finishes its job, claims no more, and stops later."""

    start: tuple[Replica, ...] = ()
    stop: tuple[Replica, ...] = ()
    cordon: tuple[Replica, ...] = ()


def changes(
    replicas: Sequence[Replica], desired: int, busy_workers: Collection[str], helping_workers: Collection[str] = ()
) -> Changes:
    """Return the changes that bring a pool as close to `desired` running replicas as possible.

    `replicas` is ordered by number. Start the lowest numbers; a draining replica cannot be started until it is stopped.
    Stop replicas that are still starting first, then the highest numbers. Replicas of `busy_workers`, the workers that
    hold jobs, are not stopped but cordoned, and only if there are not enough others. Those of `helping_workers`, which
    are in a seat of another's job, are stopped before them, and after idle ones; the job goes on without them.
    """
    running = [replica for replica in replicas if replica.state in RUNNING]
    if len(running) <= desired:
        stopped = [replica for replica in replicas if replica.state is State.STOPPED]
        return Changes(start=tuple(stopped[: desired - len(running)]))
    busy = {replica for replica in running if replica.is_one_of(busy_workers)}
    helping = {replica for replica in running if replica.is_one_of(helping_workers)}
    running.sort(key=lambda r: (r in busy, r in helping, r.state is State.READY, -r.number))
    excess = running[: len(running) - desired]
    return Changes(
        stop=tuple(replica for replica in excess if replica not in busy),
        cordon=tuple(replica for replica in excess if replica in busy),
    )
