"""Projects: each has its own data, models, jobs and keys."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contract.base import Frozen, Name

Description = Annotated[str, StringConstraints(max_length=255)]

Days = Annotated[int, Field(strict=True, ge=1, le=36500)]


Weight = Annotated[int, Field(strict=True, ge=1, le=100)]
Limit = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]  # the largest integer that JavaScript reads exactly


class Quotas(Frozen):
    """What a project may use; null means no limit."""

    stored_bytes: Limit | None = Field(
        default=None, description="Uploads, datasets, models and outputs together; then no upload or job is accepted."
    )
    live_jobs: Limit | None = Field(default=None, description="Jobs that are queued or running.")
    replica_seconds_per_month: Limit | None = Field(
        default=None,
        description="Jobs and online predictions, by calendar month in UTC; then no job or prediction is accepted.",
    )
    requests_per_minute: Limit | None = Field(
        default=None, description="Requests of all the project's keys, in each gateway; a burst may have as many."
    )
    requests_at_once: Limit | None = Field(
        default=None, description="Requests in progress, event streams and `?wait=` included, in each gateway."
    )
    upload_bytes: Limit | None = Field(default=None, description="The files of one upload together.")


class NewProjectRequest(Frozen):
    name: Name
    description: Description = ""


class VersionRetention(Frozen):
    """Versions of datasets and models older than `days` are deleted, except the newest `keep_last` of each name.

    A version that an alias points at or a live job uses is kept. So is a dataset version that an existing model was
    trained on, unless `trained_on` is true.
    """

    days: Days
    keep_last: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1
    trained_on: Annotated[bool, Field(strict=True)] = False


class Retention(Frozen):
    """What is deleted automatically, and after how many days; null means never."""

    jobs_days: Days | None = Field(
        default=None, description="Jobs that have ended, with their outputs, and made no version that still exists."
    )
    uploads_days: Days | None = Field(
        default=None, description="Complete uploads without a version, counted from the end of their last job."
    )
    versions: VersionRetention | None = None


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default: what a change leaves out stays."""
    schema.pop("default", None)


class ProjectChange(Frozen):
    """Fields that are left out stay as they are; `retention` is replaced as a whole."""

    description: Description = Field(default="", json_schema_extra=_without_default)
    weight: Weight = Field(default=1, json_schema_extra=_without_default)
    quotas: Quotas | None = Field(
        default=None,
        description="Quotas that are left out stay as they are; null removes one, or all.",
        json_schema_extra=_without_default,
    )
    retention: Retention = Field(default=Retention(), json_schema_extra=_without_default)


class Project(Frozen):
    """`default` always exists, and owns what was there before there were projects."""

    name: Name
    description: str = Field(description="For people.")
    retention: Retention = Retention()
    weight: Weight = Field(default=1, description="Its share of the replicas while other projects have jobs, too.")
    quotas: Quotas = Quotas()
    created_at: datetime


class ProjectPage(Frozen):
    items: tuple[Project, ...]
    next: str | None
