"""Measure the load of the pools: waiting and running work, and the replicas that are ready."""

import time
from collections.abc import Callable

from contract.pools import POOL_NAMES, Measured, PoolName, Queue
from contract.reports import PoolReports, Reports
from services.storage.pools.pools import Pools

ONLINE: PoolName = "inference"


class Demand:
    """Counts jobs in the database; requests and replicas come from the reports of gateways and replicas."""

    def __init__(self, pools: Pools, reports: Reports, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self.reports = reports
        self._clock = clock

    def measure(self) -> dict[PoolName, Measured]:
        """Measure every pool now; values from reports are None without a broker. Raises DatabaseUnavailable."""
        queues, reports, now = self._pools.queues(), self.reports.read(), self._clock()
        return {
            pool: _measured(
                now, queues[pool], reports.get(pool, PoolReports()) if reports is not None else None, pool == ONLINE
            )
            for pool in POOL_NAMES
        }


def _measured(at: float, queue: Queue, reports: PoolReports | None, online: bool) -> Measured:
    if reports is None:
        waiting = None if online else queue.waiting
        return Measured(at=at, ready=None, waiting=waiting, running=queue.running, oldest_s=queue.oldest_s)
    ready = [replica for replica in reports.replicas.values() if not replica.draining]
    gateways = reports.gateways.values() if online else ()
    return Measured(
        at=at,
        ready=len(ready),
        draining=len(reports.replicas) - len(ready),
        waiting=(queue.waiting or 0) + sum(gateway.waiting for gateway in gateways),
        running=queue.running,
        oldest_s=queue.oldest_s,
        busy=sum(replica.busy for replica in ready) / len(ready) if ready else None,
        requests_per_minute=sum(gateway.per_minute for gateway in gateways) if online else None,
    )
