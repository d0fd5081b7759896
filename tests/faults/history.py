"""A history: every call of a run, with its begin, end and result."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # rejected without effect
    UNKNOWN = "unknown"  # no response: it may have had an effect


class Operation(StrEnum):
    SUBMIT = "submit"  # argument: Idempotency-Key; value: {"job", "state"}
    CANCEL = "cancel"  # argument: job; value: {"state"}
    READ = "read"  # argument: job; value: {"state"}
    ROW = "row"  # argument: job; value: {"state", "fence"}, read in the database
    STREAM = "stream"  # argument: job; value: {"states", "epochs"}, its whole event stream
    FINAL = "final"  # argument: job; value: {"state", "reference"}, when the cluster is idle
    VERSION = "version"  # argument: "<noun> name@1"; value: {"job", "fence", "intact"}
    KEY = "key"  # argument: Idempotency-Key; value: {"job"}, read in the database
    FAULT = "fault"  # argument: the fault; value: {"jobs": {id: fence}} of a killed worker


@dataclass(frozen=True)
class Event:
    """One call; `began` and `ended` are seconds since the start of the run."""

    began: float
    ended: float
    client: str
    operation: Operation
    argument: str
    outcome: Outcome
    value: dict[str, Any] = field(default_factory=dict)


History = list[Event]


class Recorder:
    """Appends events to a file of JSON lines; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the run's start."""
        return time.monotonic() - self._start

    def call(
        self, client: str, operation: Operation, argument: str, act: Callable[[], tuple[Outcome, dict[str, Any]]]
    ) -> Event:
        """Call `act` and record its outcome."""
        began = self.now()
        outcome, value = act()
        return self.note(client, operation, argument, value, outcome, began)

    def note(
        self,
        client: str,
        operation: Operation,
        argument: str,
        value: dict[str, Any],
        outcome: Outcome = Outcome.OK,
        began: float | None = None,
    ) -> Event:
        """Record an event that ends now; by default it also began now."""
        now = self.now()
        event = Event(now if began is None else began, now, client, operation, argument, outcome, value)
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")
        return event


def load(path: Path) -> History:
    """Load the events of a file, in the order of their ends."""
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Event(**{**event, "operation": Operation(event["operation"]), "outcome": Outcome(event["outcome"])})
        for event in raw
    ]
