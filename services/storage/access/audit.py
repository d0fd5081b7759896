"""The audit trail: entries are written in the transaction of the change that they report."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select

from contract.audit import AuditAction, AuditEntry, AuditPage
from contract.errors import Invalid
from services.storage.database import Database
from services.storage.tables import audit

BATCH = 1000  # entries deleted at once
LARGEST_CURSOR = 2**63 - 1
LONGEST = {"subject": 255, "detail": 255}


@dataclass(frozen=True)
class Actor:
    """The key with which something is done, the project, and the id of the request."""

    key_id: str
    key_name: str
    request_id: str
    project: str


@dataclass(frozen=True)
class AuditFilter:
    """Selects entries; None matches any. `subject` also matches its versions and aliases; `until` is not included."""

    actor: str | None = None
    action: AuditAction | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_INSERT = insert(audit)  # made once: building statements takes a tenth of a submission's time


def record(
    connection: Connection, actor: Actor | None, action: AuditAction, subject: str, now: datetime, detail: str = ""
) -> None:
    """Add an entry, in the transaction of the change; the services' own changes have no actor and add nothing."""
    if actor is None:
        return
    values = {
        "at": now,
        "project": actor.project,
        "actor": actor.key_id,
        "actor_name": actor.key_name,
        "action": action,
        "subject": subject[: LONGEST["subject"]],
        "detail": detail[: LONGEST["detail"]],
        "request_id": actor.request_id,
    }
    connection.execute(_INSERT, values)


class Audit:
    """Reads the audit trail of a project, and adds what changes nothing else."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def add(self, action: AuditAction, subject: str, detail: str = "") -> None:
        """Add an entry in a transaction of its own; raises DatabaseUnavailable."""
        with self._database.write() as connection:
            record(connection, self._actor, action, subject, self._database.now(), detail)

    def list(self, where: AuditFilter, limit: int, cursor: str | None = None) -> AuditPage:
        """Return a page of at most `limit` entries, newest first; raises Invalid for a malformed cursor."""
        query = select(audit).where(audit.c.project == self._project).order_by(audit.c.id.desc()).limit(limit + 1)
        if where.actor is not None:
            query = query.where(audit.c.actor == where.actor)
        if where.action is not None:
            query = query.where(audit.c.action == where.action)
        if where.subject is not None:
            versions = audit.c.subject.startswith(f"{where.subject}@", autoescape=True)
            query = query.where(or_(audit.c.subject == where.subject, versions))
        if where.since is not None:
            query = query.where(audit.c.at >= where.since)
        if where.until is not None:
            query = query.where(audit.c.at < where.until)
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdecimal() and int(cursor) <= LARGEST_CURSOR):
                raise Invalid("cursor must be the `next` of the previous page")
            query = query.where(audit.c.id < int(cursor))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        items = tuple(AuditEntry.model_validate({f: row[f] for f in AuditEntry.model_fields}) for row in rows[:limit])
        return AuditPage(items=items, next=str(rows[limit - 1]["id"]) if len(rows) > limit else None)


def prune_audit(database: Database, keep: timedelta) -> int:
    """Delete the entries of all projects that are older than `keep`, at most a thousand; return how many."""
    cutoff = database.now() - keep
    with database.read() as connection:
        oldest = connection.execute(select(audit.c.id, audit.c.at).order_by(audit.c.id).limit(1)).one_or_none()
    if oldest is None or oldest.at >= cutoff:
        return 0
    with database.write() as connection:
        stale = (audit.c.id < oldest.id + BATCH) & (audit.c.at < cutoff)
        return connection.execute(delete(audit).where(stale)).rowcount
