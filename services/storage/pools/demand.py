"""The only place that measures the pools: what waits for them, what they have in hand, and who is there to do it."""

import time
from collections.abc import Callable

from contract.pools import POOL_NAMES, Measured, PoolName, Queue
from contract.reports import PoolReports, Reports
from services.storage.pools.pools import Pools

ONLINE: PoolName = "inference"


class Demand:
    """Jobs are counted in the table, requests and replicas by what gateways and replicas say of themselves."""

    def __init__(self, pools: Pools, reports: Reports, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self._reports = reports
        self._clock = clock

    def measure(self) -> dict[PoolName, Measured]:
        """Every pool now; while the broker is away, what only it knows is None. Raises DatabaseUnavailable."""
        queues, said, now = self._pools.queues(), self._reports.read(), self._clock()
        return {
            pool: _measured(
                now, queues[pool], said.get(pool, PoolReports()) if said is not None else None, pool == ONLINE
            )
            for pool in POOL_NAMES
        }


def _measured(at: float, queue: Queue, said: PoolReports | None, online: bool) -> Measured:
    if said is None:
        waiting = None if online else queue.waiting
        return Measured(at=at, ready=None, waiting=waiting, running=queue.running, oldest_s=queue.oldest_s)
    ready = [replica for replica in said.replicas.values() if not replica.draining]
    asking = said.gateways.values() if online else ()
    return Measured(
        at=at,
        ready=len(ready),
        draining=len(said.replicas) - len(ready),
        waiting=(queue.waiting or 0) + sum(gateway.waiting for gateway in asking),
        running=queue.running,
        oldest_s=queue.oldest_s,
        busy=sum(replica.busy for replica in ready) / len(ready) if ready else None,
        requests_per_minute=sum(gateway.per_minute for gateway in asking) if online else None,
    )
