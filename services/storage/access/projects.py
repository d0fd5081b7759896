"""The projects of an instance."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from contract.access import DEFAULT_PROJECT
from contract.audit import AuditAction
from contract.errors import Conflict, NotFound
from contract.jobs import LIVE, Job
from contract.kinds.purge import PurgeRequest, PurgeSpec
from contract.projects import NewProjectRequest, Project, ProjectChange, ProjectPage, Quotas
from services.storage.access.audit import Actor, record
from services.storage.access.project_rows import forget_rows, remove_project, require_project, visible_projects
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.rows import job_of
from services.storage.tables import (
    api_keys,
    backbone_versions,
    dataset_versions,
    jobs,
    model_versions,
    projects,
    uploads,
)

CONTENTS = {
    "keys": api_keys,
    "dataset versions": dataset_versions,
    "model versions": model_versions,
    "backbone versions": backbone_versions,
    "uploads": uploads,
    "jobs": jobs,
}


class Projects:
    """The projects table; one that is being purged is invisible."""

    def __init__(self, database: Database, actor: Actor | None = None) -> None:
        self._database = database
        self._actor = actor

    def create(self, request: NewProjectRequest) -> Project:
        """Create a project; raises Conflict if the name is taken."""
        now = self._database.now()
        values = {"name": request.name, "description": request.description, "created_at": now}
        with self._database.write() as connection:
            taken = select(projects.c.purge_job).where(projects.c.name == request.name)
            if (row := connection.execute(taken).one_or_none()) is not None:
                doing = "already" if row.purge_job is None else f"that is being deleted by the job {row.purge_job}"
                raise Conflict(f"there is a project {request.name} {doing}")
            forget_rows(connection, request.name)  # that a worker has written after an earlier one was deleted
            connection.execute(insert(projects).values(values))
            record(connection, self._actor, AuditAction.CREATE, f"projects/{request.name}", now)
        return _project(values)

    def get(self, name: str) -> Project:
        """Return a project; raises NotFound."""
        with self._database.read() as connection:
            return _project(require_project(connection, name))

    def list(self, limit: int, cursor: str | None = None) -> ProjectPage:
        """Return a page of the projects, sorted by name."""
        query = visible_projects().order_by(projects.c.name).limit(limit + 1)
        if cursor is not None:
            query = query.where(projects.c.name > cursor)
        with self._database.read() as connection:
            items = [_project(row) for row in connection.execute(query).mappings()]
        return ProjectPage(items=tuple(items[:limit]), next=items[limit - 1].name if len(items) > limit else None)

    def change(self, name: str, change: ProjectChange) -> Project:
        """Change what `change` has set; raises NotFound."""
        values = change.model_dump(mode="json", exclude_unset=True)
        with self._database.write() as connection:
            connection.execute(select(projects.c.name).where(projects.c.name == name).with_for_update())
            row = require_project(connection, name)
            if not values:
                return _project(row)
            if "quotas" in values:
                values["quotas"] = _merged(row["quotas"], values["quotas"])
            changed = update(projects).where(projects.c.name == name).values(values).returning(projects)
            row = connection.execute(changed).mappings().one()
            detail = ", ".join(sorted(values))
            record(connection, self._actor, AuditAction.CHANGE, f"projects/{name}", self._database.now(), detail)
            return _project(row)

    def delete(self, name: str) -> None:
        """Delete a project; raises NotFound, or Conflict if it is the default one or owns anything."""
        with self._database.write() as connection:
            require_project(connection, name)
            _require_other(name)
            for noun, table in CONTENTS.items():
                if connection.execute(select(table.c.project).where(table.c.project == name).limit(1)).first():
                    raise Conflict(
                        f"the project {name} has {noun}; only an empty project can be deleted, or one with ?purge=true"
                    )
            remove_project(connection, name)
            record(connection, self._actor, AuditAction.DELETE, f"projects/{name}", self._database.now())

    def purge(self, name: str, request_id: str | None = None) -> Job:
        """Revoke the keys of a project, make it invisible, and return the job that deletes it with all that it has.

        The job belongs to the default project. While it has not ended, a repetition returns it again. Raises NotFound,
        or Conflict for the default project.
        """
        with self._database.write() as connection:
            locked = select(projects.c.purge_job).where(projects.c.name == name).with_for_update()
            if (row := connection.execute(locked).one_or_none()) is None:
                raise NotFound(f"there is no project {name[:80]!r}")
            _require_other(name)
            connection.execute(delete(api_keys).where(api_keys.c.project == name))
            running = select(jobs).where(jobs.c.id == row.purge_job, jobs.c.state.in_(LIVE))
            if (earlier := connection.execute(running).mappings().one_or_none()) is not None:
                return job_of(earlier)
            request = PurgeRequest(kind="purge", spec=PurgeSpec(project=name))
            job = Jobs(self._database, DEFAULT_PROJECT).accept_internal(connection, request, request_id)
            connection.execute(update(projects).where(projects.c.name == name).values(purge_job=job.id))
            now = self._database.now()
            record(connection, self._actor, AuditAction.DELETE, f"projects/{name}", now, "with everything in it")
        return job

    def ensure_default(self) -> None:
        """Create the default project if it is missing."""
        with self._database.write() as connection:
            if connection.execute(select(projects).where(projects.c.name == DEFAULT_PROJECT)).first() is None:
                _insert_default(connection, self._database.now())


def quotas_of(document: dict[str, Any] | None) -> Quotas | None:
    """Return the quotas in a row of the projects table; None if there are none."""
    return Quotas.model_validate(document) if document else None


def _merged(quotas: dict[str, Any] | None, change: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the quotas after a change; None removes one, or all of them."""
    if change is None:
        return None
    return {name: limit for name, limit in ((quotas or {}) | change).items() if limit is not None} or None


def _require_other(name: str) -> None:
    """Raise Conflict for the default project."""
    if name == DEFAULT_PROJECT:
        raise Conflict("the project default cannot be deleted")


def _project(row: Mapping[Any, Any]) -> Project:
    """Return a project; columns that are NULL have the default of their field."""
    return Project.model_validate({name: row[name] for name in Project.model_fields if row.get(name) is not None})


def _insert_default(connection: Connection, now: datetime) -> None:
    connection.execute(insert(projects).values(name=DEFAULT_PROJECT, description="", created_at=now))
