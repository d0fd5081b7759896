"""The projects of an instance."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, event, insert, select, update

from contract.access import DEFAULT_PROJECT
from contract.audit import AuditAction
from contract.errors import Conflict, NotFound
from contract.projects import NewProjectRequest, Project, ProjectChange, ProjectPage
from services.storage.access.audit import Actor, record
from services.storage.database import Database, utc_now
from services.storage.tables import (
    api_keys,
    audit,
    backbone_versions,
    dataset_versions,
    jobs,
    model_versions,
    projects,
    uploads,
    usage,
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
    """The projects table."""

    def __init__(self, database: Database, actor: Actor | None = None) -> None:
        self._database = database
        self._actor = actor

    def create(self, request: NewProjectRequest) -> Project:
        """Create a project; raises Conflict if the name is taken."""
        now = self._database.now()
        values = {"name": request.name, "description": request.description, "created_at": now}
        with self._database.write() as connection:
            if _find(connection, request.name) is not None:
                raise Conflict(f"there is a project {request.name} already")
            connection.execute(insert(projects).values(values))
            record(connection, self._actor, AuditAction.CREATE, f"projects/{request.name}", now)
        return _project(values)

    def get(self, name: str) -> Project:
        """Return a project; raises NotFound."""
        with self._database.read() as connection:
            return _project(_existing(connection, name))

    def list(self, limit: int, cursor: str | None = None) -> ProjectPage:
        """Return a page of the projects, sorted by name."""
        query = select(projects).order_by(projects.c.name).limit(limit + 1)
        if cursor is not None:
            query = query.where(projects.c.name > cursor)
        with self._database.read() as connection:
            items = [_project(row) for row in connection.execute(query).mappings()]
        return ProjectPage(items=tuple(items[:limit]), next=items[limit - 1].name if len(items) > limit else None)

    def change(self, name: str, change: ProjectChange) -> Project:
        """Change the fields of a project that were sent; raises NotFound."""
        values = change.model_dump(mode="json", include=change.model_fields_set)
        with self._database.write() as connection:
            row = _existing(connection, name)
            if values:
                changed = update(projects).where(projects.c.name == name).values(values).returning(projects)
                row = connection.execute(changed).mappings().one()
                detail = ", ".join(sorted(values))
                record(connection, self._actor, AuditAction.CHANGE, f"projects/{name}", self._database.now(), detail)
            return _project(row)

    def delete(self, name: str) -> None:
        """Delete a project; raises NotFound, or Conflict if it is the default one or owns anything."""
        with self._database.write() as connection:
            _existing(connection, name)
            if name == DEFAULT_PROJECT:
                raise Conflict("the project default cannot be deleted")
            for noun, table in CONTENTS.items():
                if connection.execute(select(table.c.project).where(table.c.project == name).limit(1)).first():
                    raise Conflict(f"the project {name} has {noun}; only an empty project can be deleted")
            connection.execute(delete(projects).where(projects.c.name == name))
            # a later project of this name must not see them
            connection.execute(delete(usage).where(usage.c.project == name))
            connection.execute(update(audit).where(audit.c.project == name).values(project=DEFAULT_PROJECT))
            record(connection, self._actor, AuditAction.DELETE, f"projects/{name}", self._database.now())

    def ensure_default(self) -> None:
        """Create the default project if it is missing."""
        with self._database.write() as connection:
            if _find(connection, DEFAULT_PROJECT) is None:
                _insert_default(connection, self._database.now())


def _existing(connection: Connection, name: str) -> RowMapping:
    if (row := _find(connection, name)) is None:
        raise NotFound(f"there is no project {name[:80]!r}")
    return row


def _find(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(projects).where(projects.c.name == name)).mappings().one_or_none()


def _insert_default(connection: Connection, now: datetime) -> None:
    connection.execute(insert(projects).values(name=DEFAULT_PROJECT, description="", created_at=now))


def _project(row: Mapping[Any, Any]) -> Project:
    """Return a project; columns that are NULL have the default of their field."""
    return Project.model_validate({f: row[f] for f in Project.model_fields if row.get(f) is not None})


@event.listens_for(projects, "after_create")
def _created(_: object, connection: Connection, **__: object) -> None:
    """Create the default project with the table, where the tables are made without migrations."""
    _insert_default(connection, utc_now())
