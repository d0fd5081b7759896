"""What the supervisor says of each component, written for whoever waits or looks."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from contract.base import Frozen, Whole
from tidepool.files import write_private


class State(StrEnum):
    WAITING = "waiting"  # for an earlier stage
    STARTING = "starting"  # its probe does not answer yet
    READY = "ready"
    RESTARTING = "restarting"  # it died; its back-off runs
    FINISHED = "finished"  # it had to run once, and did
    FAILED = "failed"  # it had to run once, and ended with an error

    @property
    def settled(self) -> bool:
        return self in {State.READY, State.FINISHED}


class Report(Frozen):
    name: str
    role: str
    state: State
    restarts: Whole


_REPORTS = TypeAdapter(tuple[Report, ...])


def save_reports(path: Path, reports: Iterable[Report]) -> None:
    write_private(path, _REPORTS.dump_json(tuple(reports)).decode())


def load_reports(path: Path) -> tuple[Report, ...]:
    """Empty before the supervisor wrote the first one."""
    return _REPORTS.validate_json(path.read_text()) if path.exists() else ()
