"""An in-memory driver for tests, whose replicas start and stop immediately."""

from collections.abc import Mapping

from contract.errors import Unavailable
from contract.pools import POOL_NAMES, PoolName
from contract.supervision import State
from services.autoscaler.drivers.driver import Replica


class MemoryDriver:
    """Up to `most` replicas per pool. `running` holds the running numbers; `away` simulates an outage."""

    created_by_people = False

    def __init__(self, counts: Mapping[PoolName, int], most: int = 8) -> None:
        self.running = {pool: set(range(1, counts.get(pool, 0) + 1)) for pool in POOL_NAMES}
        self.most = dict.fromkeys(POOL_NAMES, most)
        self.away = False

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        if self.away:
            raise Unavailable("the driver is away")
        return {pool: tuple(self._replica(pool, n + 1) for n in range(self.most[pool])) for pool in POOL_NAMES}

    def start(self, replica: Replica) -> None:
        self.running[replica.pool].add(replica.number)

    def stop(self, replica: Replica) -> None:
        self.running[replica.pool].discard(replica.number)

    def _replica(self, pool: PoolName, number: int) -> Replica:
        state = State.READY if number in self.running[pool] else State.STOPPED
        return Replica(pool, number, state, worker=f"{pool}-{number}")
