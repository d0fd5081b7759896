"""What a job's handler sees of the world: everything it may do to the outside is a method here."""

from pathlib import Path
from typing import Protocol

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest
from contract.jobs import Job
from contract.training import ModelManifest
from services.storage.datasets import Datasets
from services.storage.objects import Objects
from services.storage.uploads import Uploads

Manifest = DatasetManifest | ModelManifest


class Task(Protocol):
    """One attempt at one job."""

    job: Job
    folder: Path  # scratch space of this attempt, removed afterwards
    objects: Objects
    datasets: Datasets
    uploads: Uploads
    checkpoint: ObjectRef | None  # what an earlier attempt left to resume from

    def report(self, fraction: float, message: str) -> None:
        """Say how far the work is (0..1); raises Cancelled or Draining when it must stop here."""

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        """Store an artifact under this attempt's prefix; it stays invisible until the job succeeds."""

    def save_checkpoint(self, name: str, source: Path | bytes) -> None:
        """Store a checkpoint that the next attempt will find in `checkpoint`."""


class Handler(Protocol):
    """A job kind's work. What it returns is published by the harness, once, under the fence."""

    __module__: str
    __name__: str

    def __call__(self, task: Task) -> Manifest: ...
