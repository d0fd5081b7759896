"""Usage of replicas in seconds, by purpose."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen

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
        description="The seconds that the maximum number of replicas would have used; null like ready_s."
    )


class Usage(Frozen):
    """Lines of the days from `since` to `until`, both included, in UTC."""

    since: date
    until: date
    by: UsageBy
    items: tuple[UsageLine, ...]
    next: None = None
