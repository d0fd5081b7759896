"""The driver for Docker Compose, which starts and stops the containers that Compose has created for the pools."""

import threading
from collections.abc import Iterable, Mapping

import structlog

from contract.errors import Unavailable
from contract.pools import POOL_NAMES, PoolName
from contract.supervision import State
from services.autoscaler.drivers.driver import Replica
from services.autoscaler.drivers.engine import Container, Engine

log = structlog.get_logger()

STATES = {"running": State.READY, "paused": State.READY, "restarting": State.STARTING}
UNUSABLE = frozenset({"removing", "dead"})  # cannot be started


class DockerDriver:
    """Creates no containers; a pool has at most as many replicas as `docker compose up --scale` has created."""

    created_by_people = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._names: dict[tuple[PoolName, int], str] = {}
        self._stopping: set[str] = set()

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        usable = [container for container in self._engine.containers() if container.state not in UNUSABLE]
        by_pool = {pool: _one_per_number(item for item in usable if item.service == pool) for pool in POOL_NAMES}
        self._names = {(pool, item.number): item.name for pool, items in by_pool.items() for item in items}
        return {pool: tuple(self._replica(pool, item) for item in items) for pool, items in by_pool.items()}

    def start(self, replica: Replica) -> None:
        self._engine.start(self._name(replica))

    def stop(self, replica: Replica) -> None:
        name = self._name(replica)
        grace_s = self._engine.grace_s(name)
        self._stopping.add(name)
        # the engine responds only after the container has stopped
        threading.Thread(target=self._stop_and_wait, args=[name, grace_s], name=f"stop {name}", daemon=True).start()

    def _name(self, replica: Replica) -> str:
        return self._names[replica.pool, replica.number]

    def _replica(self, pool: PoolName, container: Container) -> Replica:
        return Replica(pool, container.number, self._state(container), worker=container.hostname)

    def _state(self, container: Container) -> State:
        if container.name in self._stopping:
            return State.DRAINING
        state = STATES.get(container.state, State.STOPPED)
        return State.STARTING if state is State.READY and "health: starting" in container.status else state

    def _stop_and_wait(self, name: str, grace_s: int) -> None:
        log.info("container draining", container=name, grace_s=grace_s)
        try:
            self._engine.stop(name, grace_s)
        except Unavailable as error:
            log.warning("container not stopped", container=name, reason=error.message)
        finally:
            self._stopping.discard(name)


def _one_per_number(containers: Iterable[Container]) -> list[Container]:
    """Return one container for each number, in ascending order.

    While Compose replaces a container, the new one has the same number and, temporarily, a longer name.
    """
    longest_first = sorted(containers, key=lambda container: -len(container.name))
    by_number = {container.number: container for container in longest_first}
    return [by_number[number] for number in sorted(by_number)]
