"""Projects: each has its own data, models, jobs and keys."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from contract.base import Frozen, Name

Description = Annotated[str, StringConstraints(max_length=255)]


class NewProjectRequest(Frozen):
    name: Name
    description: Description = ""


class ProjectChange(Frozen):
    description: Description


class Project(Frozen):
    """`default` always exists, and owns what was there before there were projects."""

    name: Name
    description: str = Field(description="For people.")
    created_at: datetime


class ProjectPage(Frozen):
    items: tuple[Project, ...]
    next: str | None
