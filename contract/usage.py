"""Usage: the seconds of replicas by purpose, and the bytes in the object store by category."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen, Whole

UsedSeconds = Annotated[float, Field(ge=0)]


class Purpose(StrEnum):
    """The purpose of a replica's seconds; `ready` counts all of them, including those of the other two."""

    READY = "ready"
    JOB = "job"
    ONLINE = "online"


@dataclass(frozen=True)
class Use:
    """The key that a replica's seconds are counted under; fields that do not apply are empty."""

    purpose: Purpose
    model: str = ""
    job: str = ""
    project: str = DEFAULT_PROJECT


class UsageBy(StrEnum):
    DAY = "day"
    POOL = "pool"
    MODEL = "model"
    JOB = "job"


class UsageLine(Frozen):
    """Replica-seconds of one day, pool, model or job."""

    key: str
    ready_s: UsedSeconds | None = Field(
        description="Ready replicas, busy or idle, of all projects; null for models, jobs, and projects but default."
    )
    jobs_s: UsedSeconds = Field(description="Attempts at jobs, from claim to end.")
    online_s: UsedSeconds = Field(description="Batches of online predictions.")
    gpu_s: UsedSeconds = Field(description="Seconds of replicas with a GPU: ready, or busy with a model or a job.")
    at_max_s: UsedSeconds | None = Field(
        description="The seconds that the maximum of replicas at the time would have used; null like ready_s."
    )


class Usage(Frozen):
    """Lines of the days from `since` to `until`, both included, in UTC."""

    since: date
    until: date
    by: UsageBy
    items: tuple[UsageLine, ...]
    next: None = None


class StorageCategory(StrEnum):
    """What an object is kept for; one that is kept for several things counts in the first of these."""

    UPLOADS = "uploads"
    DATASETS = "datasets"
    MODELS = "models"
    BACKBONES = "backbones"
    FEATURES = "features"  # of datasets' images, for trainings
    PREDICTIONS = "predictions"  # the outputs of jobs
    EVALUATIONS = "evaluations"
    CHECKPOINTS = "checkpoints"
    REVIEWS = "reviews"  # copies of images that people review
    PARTS = "parts"  # plans and results of the parts of divided jobs that have not ended
    RUNNING = "running"  # written by an attempt that has not ended
    WAITING = "waiting"  # to be collected: of deleted things and lost attempts
    OTHER = "other"  # not written by Tidepool


class Stored(Frozen):
    objects: Whole
    bytes: Whole


class ProjectStorage(Stored):
    """What a project has in the object store: in all, and by category; a category without objects is left out."""

    project: str
    categories: dict[StorageCategory, Stored]


class StorageUsage(Stored):
    """What a project has in the object store, or all of them together, when its objects were listed last."""

    measured_at: datetime | None = Field(description="Null if the objects were not listed yet.")
    categories: dict[StorageCategory, Stored]
    projects: tuple[ProjectStorage, ...] | None = Field(description="Each project, with `all`; otherwise null.")
