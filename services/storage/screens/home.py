"""What the console's first page shows of a project's datasets and models."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, select, tuple_

from contract.base import Frozen
from contract.datasets import DatasetWarning
from services.storage.database import Database
from services.storage.tables import alias_weights, dataset_versions, model_versions

RECENT = 5  # dataset versions whose warnings are shown


class DoubtfulDataset(Frozen):
    """A dataset version with a warning, the first of `count`."""

    name: str
    version: int
    warning: DatasetWarning
    count: int


class ModelLine(Frozen):
    """A model; `shares` are version and percent of its production alias, largest first.

    `created_at` is of the `newest` version; the rest is of `version`, the first of the shares, or else the newest.
    """

    name: str
    version: int
    newest: int
    newest_rejected: bool
    created_at: datetime
    dataset: str | None
    rejected: str | None
    accuracy: float | None
    interval: tuple[float, float] | None
    weakest: str | None
    weakest_f1: float | None
    shares: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class HomeReader:
    """Reads a project's newest datasets and models."""

    database: Database
    project: str

    def doubtful(self) -> tuple[DoubtfulDataset, ...]:
        """Return the newest versions of datasets that have warnings, of the RECENT newest versions."""
        table = dataset_versions.c
        query = select(table.name, table.version, table.manifest["warnings"].label("warnings"))
        with self.database.read() as connection:
            rows = connection.execute(_recent(query, dataset_versions, self.project, RECENT)).all()
        return tuple(
            DoubtfulDataset(
                name=row.name,
                version=row.version,
                warning=DatasetWarning.model_validate(row.warnings[0]),
                count=len(row.warnings),
            )
            for row in rows
            if row.warnings
        )

    def models(self, limit: int) -> tuple[ModelLine, ...]:
        """Return the models that got a version last, newest first."""
        table = model_versions.c
        columns = (table.name, table.version, table.dataset, table.created_at, table.rejected)
        query = select(*columns, table.manifest["metrics"].label("metrics"))
        with self.database.read() as connection:
            rows = connection.execute(_recent(query, model_versions, self.project, limit)).all()
            weights = select(alias_weights).where(
                alias_weights.c.project == self.project,
                alias_weights.c.alias == "production",
                alias_weights.c.model.in_([row.name for row in rows]),
            )
            shares: dict[str, list[tuple[int, int]]] = defaultdict(list)
            largest_first = (alias_weights.c.weight.desc(), alias_weights.c.version.desc())
            for weight in connection.execute(weights.order_by(*largest_first)):
                shares[weight.model].append((weight.version, weight.weight))
            leading = [(name, versions[0][0]) for name, versions in shares.items()]
            chosen = (table.project == self.project) & tuple_(table.name, table.version).in_(leading)
            serving = {row.name: row for row in connection.execute(query.where(chosen))}
        return tuple(
            ModelLine(
                **_numbers(serving.get(row.name, row)),
                name=row.name,
                newest=row.version,
                newest_rejected=bool(row.rejected),
                created_at=row.created_at,
                shares=tuple(shares[row.name]),
            )
            for row in rows
        )


def newest_of(versions: Table, project: str) -> ColumnElement[bool]:
    """Return the condition that a row is the newest version of its name."""
    same = versions.alias()
    newest = select(func.max(same.c.version)).where(same.c.project == project, same.c.name == versions.c.name)
    return versions.c.version == newest.scalar_subquery()


def _recent(query: Select[Any], versions: Table, project: str, limit: int) -> Select[Any]:
    """Restrict a query to the newest versions of the names that got one last; others' manifests are not parsed."""
    table = versions.c
    recent = select(table.name, table.version).where(table.project == project, newest_of(versions, project))
    chosen = recent.order_by(table.created_at.desc()).limit(limit).subquery()
    same = (table.project == project) & (table.name == chosen.c.name) & (table.version == chosen.c.version)
    return query.join(chosen, same).order_by(table.created_at.desc())


def _numbers(row: Any) -> dict[str, Any]:
    metrics = ((row.metrics or {}).get("test") or (row.metrics or {}).get("val")) or {}
    classes = {name: values["f1"] for name, values in (metrics.get("per_class") or {}).items() if values["support"]}
    weakest = min(classes, key=lambda name: classes[name], default=None)
    return {
        "version": row.version,
        "dataset": row.dataset,
        "rejected": row.rejected,
        "accuracy": metrics.get("accuracy"),
        "interval": metrics.get("accuracy_interval"),
        "weakest": weakest,
        "weakest_f1": classes.get(weakest) if weakest is not None else None,
    }
