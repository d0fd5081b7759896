"""The datasets of a project as the console lists them, and what was made with a version."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from contract.base import Frozen
from contract.datasets import Counts, Thumbnail
from services.storage.database import Database
from services.storage.screens.home import newest_of
from services.storage.tables import dataset_versions, model_versions

MOST_MODELS = 50
THUMBNAILS = 5


class DatasetLine(Frozen):
    """The newest version of a dataset, and how many there are."""

    name: str
    version: int
    versions: int
    counts: Counts
    classes: int
    warnings: int
    rejected: int
    thumbnails: tuple[Thumbnail, ...]
    created_at: datetime

    @property
    def images(self) -> int:
        return self.counts.train + self.counts.val + self.counts.test


class TrainedModel(Frozen):
    """A model version that was trained on a dataset version."""

    name: str
    version: int
    created_at: datetime


@dataclass(frozen=True)
class DatasetScreens:
    """Reads a project's datasets."""

    database: Database
    project: str

    def page(self, limit: int, cursor: str = "") -> tuple[tuple[DatasetLine, ...], str | None]:
        """Return at most `limit` datasets after the name `cursor`, by name, and the cursor of the next page."""
        table = dataset_versions.c
        fields = ("counts", "classes", "warnings", "rejected", "thumbnails")
        others = dataset_versions.alias()
        count = select(func.count()).where(others.c.project == self.project, others.c.name == table.name)
        query = (
            select(
                table.name,
                table.version,
                table.created_at,
                count.scalar_subquery().label("versions"),
                *(table.manifest[field].label(field) for field in fields),
            )
            .where(table.project == self.project, table.name > cursor, newest_of(dataset_versions, self.project))
            .order_by(table.name)
            .limit(limit + 1)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        lines = tuple(
            DatasetLine(
                name=row.name,
                version=row.version,
                versions=row.versions,
                counts=row.counts,
                classes=len(row.classes),
                warnings=len(row.warnings or ()),
                rejected=row.rejected,
                thumbnails=(row.thumbnails or ())[:THUMBNAILS],
                created_at=row.created_at,
            )
            for row in rows[:limit]
        )
        return lines, lines[-1].name if len(rows) > limit else None

    def trained_on(self, reference: str) -> tuple[TrainedModel, ...]:
        """Return the newest models that were trained on a version, such as `pets@1`."""
        table = model_versions.c
        query = select(table.name, table.version, table.created_at).where(
            table.project == self.project, table.dataset == reference
        )
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(table.created_at.desc()).limit(MOST_MODELS)).mappings()
            return tuple(TrainedModel.model_validate(dict(row)) for row in rows)

    def references(self, limit: int) -> tuple[str, ...]:
        """Return versions such as `pets@1`, the newest first."""
        table = dataset_versions.c
        query = select(table.name, table.version).where(table.project == self.project)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(table.created_at.desc(), table.version.desc()).limit(limit))
            return tuple(f"{row.name}@{row.version}" for row in rows)
