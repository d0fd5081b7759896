"""Messages between the supervisor and the autoscaler: desired replicas, and the state of each component."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import TypeAdapter

from contract.base import Frozen, Positive, Whole


class State(StrEnum):
    WAITING = "waiting"  # for an earlier stage
    STARTING = "starting"  # its probe does not answer yet
    READY = "ready"
    RESTARTING = "restarting"  # it died and waits out its back-off
    DRAINING = "draining"  # got SIGTERM; finishes its work within the grace period
    STOPPED = "stopped"  # a replica that is not desired now
    FINISHED = "finished"  # a one-time command that succeeded
    FAILED = "failed"  # a one-time command that failed

    @property
    def settled(self) -> bool:
        """Whether the start of the stack need not wait for it any longer."""
        return self in {State.READY, State.DRAINING, State.STOPPED, State.FINISHED}


class ComponentReport(Frozen):
    """The state of one component."""

    name: str
    role: str
    index: Positive = 1
    state: State
    restarts: Whole
    pid: Positive | None = None


DesiredReplicas = Mapping[str, tuple[Positive, ...]]
"""The indices of the replicas to run, by role; if a role is missing, all of its replicas run."""

REPORTS = TypeAdapter(tuple[ComponentReport, ...])
DESIRED: TypeAdapter[DesiredReplicas] = TypeAdapter(DesiredReplicas)
