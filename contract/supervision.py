"""What a supervisor of replicas and who scales them tell each other: which shall run, and what each of them does."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import TypeAdapter

from contract.base import Frozen, Positive, Whole


class State(StrEnum):
    WAITING = "waiting"  # for an earlier stage
    STARTING = "starting"  # its probe does not answer yet
    READY = "ready"
    RESTARTING = "restarting"  # it died; its back-off runs
    DRAINING = "draining"  # it was told to go, and has its grace to finish what it is at
    STOPPED = "stopped"  # a replica that is not wanted now
    FINISHED = "finished"  # it had to run once, and did
    FAILED = "failed"  # it had to run once, and ended with an error

    @property
    def settled(self) -> bool:
        """Whether nobody has to wait for it."""
        return self in {State.READY, State.DRAINING, State.STOPPED, State.FINISHED}


class Report(Frozen):
    """What the supervisor says of one component."""

    name: str
    role: str
    index: Positive = 1
    state: State
    restarts: Whole
    pid: Positive | None = None


DesiredReplicas = Mapping[str, tuple[Positive, ...]]
"""By role, the indices of the replicas that shall run; of a role that is not named, all."""

REPORTS = TypeAdapter(tuple[Report, ...])
DESIRED: TypeAdapter[DesiredReplicas] = TypeAdapter(DesiredReplicas)
