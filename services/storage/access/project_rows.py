"""The row of a project, and the rows of all tables that belong to it."""

from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, select, update

from contract.access import DEFAULT_PROJECT
from contract.errors import NotFound
from services.storage.tables import api_keys, audit, jobs, metadata, projects, sessions, uploads

# `sessions` name a project that an admin has chosen, and are ignored without it.
OWNED = (api_keys, uploads, jobs)  # refer to their project, which cannot go before them
_OTHERS = [
    table
    for table in reversed(metadata.sorted_tables)  # so that each goes before what it refers to
    if "project" in table.c and table not in (*OWNED, audit, sessions)
]


def visible_projects() -> Select[Any]:
    """Select the projects that are not being purged."""
    return select(projects).where(projects.c.purge_job.is_(None))


def require_project(connection: Connection, name: str, lock: bool = False) -> RowMapping:
    """Return the row of a project; raises NotFound, also if it is being purged.

    With `lock`, neither is it purged before the transaction ends.
    """
    query = visible_projects().where(projects.c.name == name)
    row = connection.execute(query.with_for_update(read=True) if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no project {name[:80]!r}")
    return row


def remove_project(connection: Connection, name: str) -> None:
    """Delete the row of a project that has no keys, uploads and jobs, or raise Conflict; the audit trail moves."""
    forget_rows(connection, name)
    connection.execute(update(audit).where(audit.c.project == name).values(project=DEFAULT_PROJECT))
    connection.execute(delete(projects).where(projects.c.name == name))


def forget_rows(connection: Connection, name: str) -> None:
    """Delete what a project has beside keys, uploads, jobs and audit trail, so that a later one does not get it."""
    for table in _OTHERS:
        connection.execute(delete(table).where(table.c.project == name))
