"""What was used: seconds of replicas, by what they were used for."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contract.base import Frozen

UsedSeconds = Annotated[float, Field(ge=0)]


class Purpose(StrEnum):
    """What a replica's second was for; `ready` counts all of them, so also those of the other two."""

    READY = "ready"
    JOB = "job"
    ONLINE = "online"


@dataclass(frozen=True)
class Use:
    """What a second of a replica was for; what does not apply is empty."""

    purpose: Purpose
    model: str = ""
    job: str = ""


class UsageBy(StrEnum):
    DAY = "day"
    POOL = "pool"
    MODEL = "model"
    JOB = "job"


class UsageLine(Frozen):
    """Replica-seconds of one day, pool, model or job."""

    key: str
    ready_s: UsedSeconds | None = Field(description="Replicas ready, at work or not; null for a model and for a job.")
    jobs_s: UsedSeconds = Field(description="Attempts at jobs, from claim to end.")
    online_s: UsedSeconds = Field(description="Batches of online predictions.")
    gpu_s: UsedSeconds = Field(description="Of replicas with a GPU: ready, or at work for a model or a job.")
    at_max_s: UsedSeconds | None = Field(description="What as many replicas as there may be would have come to.")


class Usage(Frozen):
    """Lines of the days from `since` to `until`, both included, in UTC."""

    since: date
    until: date
    by: UsageBy
    items: tuple[UsageLine, ...]
    next: None = None
