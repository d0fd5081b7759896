"""Projects: each has its own data, models, jobs and keys."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from contract.base import Frozen, Name

Description = Annotated[str, StringConstraints(max_length=255)]

Days = Annotated[int, Field(strict=True, ge=1, le=36500)]


class NewProjectRequest(Frozen):
    name: Name
    description: Description = ""


class VersionRetention(Frozen):
    """Which versions of datasets and models are deleted: those older than `days`, but the newest `keep_last` of a name.

    Those that an alias points at or a live job uses are kept, and so are dataset versions of which there is a model,
    unless `trained_on` is true.
    """

    days: Days
    keep_last: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1
    trained_on: Annotated[bool, Field(strict=True)] = False


class Retention(Frozen):
    """What is deleted by itself, after how many days; null keeps it until somebody deletes it."""

    jobs_days: Days | None = Field(
        default=None, description="Jobs that have ended, with their outputs, and made no version that still exists."
    )
    uploads_days: Days | None = Field(
        default=None, description="Complete uploads of which there is no version, counted from their last job's end."
    )
    versions: VersionRetention | None = None


class ProjectChange(Frozen):
    """Only the fields that are sent change; `retention` as a whole."""

    description: Description = ""
    retention: Retention = Retention()


class Project(Frozen):
    """`default` always exists, and owns what was there before there were projects."""

    name: Name
    description: str = Field(description="For people.")
    retention: Retention = Retention()
    created_at: datetime


class ProjectPage(Frozen):
    items: tuple[Project, ...]
    next: str | None
