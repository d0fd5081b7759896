"""What a job's handler sees of the world: everything it may do to the outside is a method here."""

from pathlib import Path
from typing import Any, Protocol

from contract.artifacts import ObjectRef
from contract.division import Outcome
from contract.jobs import Job
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.objects import Artifacts


class Task(Protocol):
    """One attempt at one job."""

    job: Job
    folder: Path  # scratch space of this attempt, removed afterwards
    objects: Artifacts
    datasets: Datasets
    uploads: Uploads
    models: Models
    checkpoint: ObjectRef | None  # what an earlier attempt left to resume from
    part: dict[str, Any] | None  # what to do, when this is a part of a job that has divided
    parts: tuple[dict[str, Any], ...] | None  # what the parts came to, when all of them are done

    def report(self, fraction: float, message: str) -> None:
        """Say how far the work is (0..1); raises Cancelled or Draining when it must stop here."""

    def log(self, message: str) -> None:
        """Add a line to the job's events, for the person who reads them."""

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        """Store an artifact under this attempt's prefix; it stays invisible until the job succeeds."""

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        """Store a checkpoint that the next attempt will find in `checkpoint`, and report its metrics with it."""


class Handler(Protocol):
    """A job kind's work. What it returns is published by the harness, once, under the fence.

    A job whose work divides is handled three times: at first it returns a Division, then a PartDone for each `part`,
    and at the end, from what all `parts` came to, what is published.
    """

    __module__: str
    __name__: str

    def __call__(self, task: Task) -> Outcome: ...
