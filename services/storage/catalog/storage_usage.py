"""The objects and bytes of projects, as the storage process has counted them last."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from contract.access import DEFAULT_PROJECT
from contract.usage import ProjectStorage, StorageCategory, StorageUsage, Stored
from services.storage.database import Database
from services.storage.tables import storage_usage

NOTHING = Stored(objects=0, bytes=0)

Counted = Mapping[tuple[str, StorageCategory], Stored]
"""What each project has of a category."""


class StorageUsages:
    """The storage_usage table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, counted: Counted, measured_at: datetime) -> None:
        """Replace all rows; raises DatabaseUnavailable, or Conflict if another process does the same."""
        counted = {(DEFAULT_PROJECT, StorageCategory.UPLOADS): NOTHING, **counted}  # one row has the time, at least
        rows = [
            {"project": project, "category": category, "measured_at": measured_at, **dict(stored)}
            for (project, category), stored in counted.items()
        ]
        with self._database.write() as connection:
            connection.execute(delete(storage_usage))
            connection.execute(insert(storage_usage), rows)

    def of(self, project: str) -> StorageUsage:
        """Return what a project has."""
        measured_at, by_project = self._read(project)
        own = by_project.get(project, {})
        return StorageUsage(measured_at=measured_at, categories=own, projects=None, **dict(_sum(own.values())))

    def all(self) -> StorageUsage:
        """Return what all projects have, also deleted ones whose objects are not collected yet."""
        measured_at, by_project = self._read()
        projects = tuple(
            ProjectStorage(project=project, categories=own, **dict(_sum(own.values())))
            for project, own in sorted(by_project.items())
        )
        categories = {
            category: _sum(own[category] for own in by_project.values() if category in own)
            for category in StorageCategory
            if any(category in own for own in by_project.values())
        }
        total = _sum(projects)
        return StorageUsage(measured_at=measured_at, categories=categories, projects=projects, **dict(total))

    def _read(self, project: str | None = None) -> tuple[datetime | None, dict[str, dict[StorageCategory, Stored]]]:
        query = select(storage_usage).where(storage_usage.c.objects > 0)
        if project is not None:
            query = query.where(storage_usage.c.project == project)
        with self._database.read() as connection:
            measured_at = connection.execute(select(func.max(storage_usage.c.measured_at))).scalar()
            rows = connection.execute(query).all()
        by_project: dict[str, dict[StorageCategory, Stored]] = defaultdict(dict)
        order = list(StorageCategory)
        for row in sorted(rows, key=lambda row: order.index(row.category)):
            by_project[row.project][StorageCategory(row.category)] = Stored(objects=row.objects, bytes=row.bytes)
        return measured_at, by_project


def _sum(several: Iterable[Stored]) -> Stored:
    listed = list(several)
    return Stored(objects=sum(stored.objects for stored in listed), bytes=sum(stored.bytes for stored in listed))
