"""The interface of drivers: list, start and stop replicas."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from contract.pools import PoolName
from contract.supervision import State

RUNNING = frozenset({State.STARTING, State.READY})


@dataclass(frozen=True)
class Replica:
    """One that runs, goes, or can be started: STARTING, READY, DRAINING or STOPPED.

    `worker` is the name under which its worker claims jobs, `host:pid`, or the host alone where it has one of its own.
    """

    pool: PoolName
    number: int
    state: State
    worker: str

    def holds_one_of(self, holders: Collection[str]) -> bool:
        """Whether its worker is one of these."""
        return any(holder == self.worker or holder.startswith(f"{self.worker}:") for holder in holders)


class Driver(Protocol):
    """`ProcessDriver` and `DockerDriver` are the real ones, `MemoryDriver` is their twin.

    `created_by_people`: whether a person says by creating replicas how many are meant.
    """

    created_by_people: bool

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        """All that there can be, by rising number; raises Unavailable."""

    def start(self, replica: Replica) -> None:
        """Have one run that is STOPPED; returns before it is ready. Raises Unavailable."""

    def stop(self, replica: Replica) -> None:
        """Let one go that runs; returns at once, while it drains. Raises Unavailable."""
