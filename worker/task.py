"""The interface between a job's handler and its worker."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from contract.artifacts import ObjectRef
from contract.division import Outcome
from contract.jobs import Job
from services.storage.catalog.backbones import Backbones
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.holdings import Holdings
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.jobs.children import ChildJob
from services.storage.objects import Artifacts
from services.storage.people.reviews import Reviews


class Task(Protocol):
    """One attempt at one job."""

    job: Job
    folder: Path  # scratch space of this attempt, deleted afterwards
    objects: Artifacts
    datasets: Datasets
    uploads: Uploads
    models: Models
    backbones: Backbones
    holdings: Holdings
    reviews: Reviews
    checkpoint: ObjectRef | None  # saved by an earlier attempt, to resume from
    part: dict[str, Any] | None  # the part to work on, if the job was divided
    parts: tuple[dict[str, Any], ...] | None  # every part's result, when all are done

    @property
    def stop_early(self) -> bool:
        """Whether a training should end now and return its best model so far.

        Cheap enough to read between batches. A handler that has no model yet raises Cancelled.
        """

    def report(self, fraction: float, message: str) -> None:
        """Report progress (0..1); raises Cancelled or Draining when the attempt must stop."""

    def check_stop(self) -> None:
        """Raise Cancelled or Draining if the attempt must stop; `report` does the same."""

    def offer_seats(self, endpoint: str, generation: int, count: int) -> str:
        """Offer seats in this job to free replicas, at `host:port`; return the id of the rendezvous.

        Replaces an earlier offer. The id is made of the job, the fence and the generation, a number to choose.
        """

    def ready_seats(self) -> frozenset[str]:
        """Return the names of the replicas that have taken a seat and may join."""

    def withdraw_seats(self) -> None:
        """Offer no more seats, and end those taken."""

    def log(self, message: str) -> None:
        """Append a line to the job's events."""

    def children(self, parent: str | None = None) -> tuple[ChildJob, ...]:
        """Return the children of this job in the order of their numbers, or those of `parent`, for a child."""

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        """Store an artifact under this attempt's prefix; it becomes visible when the job succeeds."""

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        """Store a checkpoint, passed to the next attempt as `checkpoint`, and report its metrics with it."""


@runtime_checkable
class Contended(Protocol):
    """The task of a job that may have to wait for replicas."""

    def contended(self) -> bool:
        """Return whether this replica has other work: a due job, or a free seat of an older job.

        A handler that cannot go on then raises Postponed.
        """


class Handler(Protocol):
    """The work of a job kind. The worker publishes what it returns, once, under the fence.

    For a job that is divided, the handler is called without `part` and returns a Division, then once for each `part`
    and returns a PartDone, and finally with the results in `parts` and returns what is published. One that returns
    Waiting is called again whenever a child of the job ends; it learns of them from `task.children()`.
    """

    __module__: str
    __name__: str

    def __call__(self, task: Task) -> Outcome: ...
