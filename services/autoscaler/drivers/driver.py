"""The interface of drivers: list, start and stop replicas."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from contract.pools import PoolName
from contract.supervision import State

RUNNING = frozenset({State.STARTING, State.READY})


@dataclass(frozen=True)
class Replica:
    """A replica in state STARTING, READY, DRAINING or STOPPED; a stopped one can be started.

    `worker` is the name under which its worker claims jobs, `host:pid`, or only the host if it is the replica's own.
    """

    pool: PoolName
    number: int
    state: State
    worker: str

    def is_one_of(self, workers: Collection[str]) -> bool:
        """Return whether the replica's worker is one of the named workers (`host:pid`)."""
        return any(worker == self.worker or worker.startswith(f"{self.worker}:") for worker in workers)


class Driver(Protocol):
    """Implemented by `ProcessDriver` and `DockerDriver`, and by `MemoryDriver` for tests.

    `created_by_people`: whether people create the replicas, and so set the size of manual pools.
    """

    created_by_people: bool

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        """Return all replicas of every pool, also stopped ones, in ascending order of number; raises Unavailable."""

    def start(self, replica: Replica) -> None:
        """Start a STOPPED replica; return before it is ready. Raises Unavailable."""

    def stop(self, replica: Replica) -> None:
        """Stop a running replica; return immediately, while it drains. Raises Unavailable."""
