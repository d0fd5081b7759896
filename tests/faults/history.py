"""The only place that knows what a history is: every call of a run, with when it began, ended and what it answered."""

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
    REFUSED = "refused"  # answered, and nothing was done
    UNKNOWN = "unknown"  # not answered: it may have been done


class Operation(StrEnum):
    SUBMIT = "submit"  # argument: Idempotency-Key; value: {"job", "state"}
    CANCEL = "cancel"  # argument: job; value: {"state"}
    READ = "read"  # argument: job; value: {"state"}
    ROW = "row"  # argument: job; value: {"state", "fence"}, read in the database
    STREAM = "stream"  # argument: job; value: {"states", "epochs"}, its whole event stream
    FINAL = "final"  # argument: job; value: {"state", "reference"}, when nothing moves any more
    VERSION = "version"  # argument: "<noun> name@1"; value: {"job", "fence", "intact"}
    KEY = "key"  # argument: Idempotency-Key; value: {"job"}, read in the database
    FAULT = "fault"  # argument: what the nemesis did; value: {"jobs": {id: fence}} that it took the worker from


@dataclass(frozen=True)
class Event:
    """One call; `began` and `ended` are seconds since the run's start."""

    began: float
    ended: float
    client: str
    operation: Operation
    argument: str
    outcome: Outcome
    value: dict[str, Any] = field(default_factory=dict)


History = list[Event]


class Recorder:
    """Writes events as JSON lines while they happen, from any thread."""

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
        """Do something and write down what came of it."""
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
        """Write an event that ends now, and began now unless told otherwise."""
        now = self.now()
        event = Event(now if began is None else began, now, client, operation, argument, outcome, value)
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")
        return event


def load(path: Path) -> History:
    """The events of a file in the order of their ends."""
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Event(**{**event, "operation": Operation(event["operation"]), "outcome": Outcome(event["outcome"])})
        for event in raw
    ]
