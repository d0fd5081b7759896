"""How the traffic of an alias has changed, as the audit trail tells it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from contract.audit import AuditAction
from contract.catalog import Traffic
from services.storage.catalog.models import traffic_of
from services.storage.database import Database
from services.storage.tables import audit

MOST = 8  # changes of an alias, the newest


@dataclass(frozen=True)
class Change:
    """A change of an alias; `traffic` is None if the trail does not have all of it."""

    at: datetime
    who: str
    detail: str
    traffic: Traffic | None


@dataclass(frozen=True)
class ServingScreen:
    """Reads a project's audit trail."""

    database: Database
    project: str

    def changes(self, model: str) -> dict[str, tuple[Change, ...]]:
        """Return the newest changes of each alias of a model, newest first."""
        begin = f"models/{model}@"
        query = select(audit.c.at, audit.c.actor_name, audit.c.subject, audit.c.detail).where(
            audit.c.project == self.project,
            audit.c.action == AuditAction.PROMOTE,
            audit.c.subject.startswith(begin, autoescape=True),
        )
        found = dict[str, tuple[Change, ...]]()
        with self.database.read() as connection:
            for row in connection.execute(query.order_by(audit.c.id.desc()).limit(10 * MOST)):
                alias = row.subject.removeprefix(begin)
                change = Change(row.at, row.actor_name, row.detail, traffic_of(row.detail))
                found[alias] = (*found.get(alias, ()), change)[:MOST]
        return found
