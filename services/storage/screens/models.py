"""The models of a project and the versions of a model, as the console lists them."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, func, select, tuple_

from contract.base import Frozen
from contract.catalog import Alias
from contract.errors import NotFound
from services.storage.catalog.aliases import aliases_of
from services.storage.database import Database
from services.storage.tables import alias_weights, aliases, model_versions

_TABLE = model_versions.c


class VersionLine(Frozen):
    """A version without its manifest; the numbers are those of the test split, or else of the validation split."""

    name: str
    version: int
    dataset: str | None
    created_at: datetime
    rejected: str | None
    quarantined: str | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    macro_f1: float | None = None
    method: str | None = None
    serving: str = "fp32"
    versions: int = 1

    @property
    def interval(self) -> tuple[float, float] | None:
        """The accuracy with 95 % confidence, None if it is not known."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class Served(Frozen):
    """An alias of a model: versions with their percentages, largest first, and the shadow."""

    alias: str
    shares: tuple[tuple[int, int], ...]
    shadow: int | None


class ModelPage(NamedTuple):
    """Models by name, and the cursor of the next page.

    `newest` are their newest versions, and `leading` those that get most of their requests: of the alias production, or
    else of the first alias; without an alias, the newest.
    """

    newest: tuple[VersionLine, ...]
    leading: dict[str, VersionLine]
    served: dict[str, tuple[Served, ...]]
    next: str | None


@dataclass(frozen=True)
class ModelScreens:
    """Reads a project's models."""

    database: Database
    project: str

    def page(self, search: str, limit: int, cursor: str = "") -> ModelPage:
        """Return at most `limit` models."""
        newest = select(_TABLE.name, func.max(_TABLE.version).label("version"), func.count().label("versions"))
        newest = newest.where(_TABLE.project == self.project).group_by(_TABLE.name).order_by(_TABLE.name)
        if search:
            newest = newest.where(_TABLE.name.contains(search, autoescape=True))
        if cursor:
            newest = newest.where(_TABLE.name > cursor)
        chosen = newest.limit(limit + 1).subquery()
        joined = (_TABLE.name == chosen.c.name) & (_TABLE.version == chosen.c.version)
        query = _lines(chosen.c.versions).join(chosen, joined).where(_TABLE.project == self.project)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(_TABLE.name)).mappings().all()
            lines = tuple(_line(row) for row in rows[:limit])
            served = self._served(connection, [line.name for line in lines])
            leading = self._leading(connection, lines, served)
        return ModelPage(lines, leading, served, lines[-1].name if len(rows) > limit else None)

    def names(self) -> tuple[str, ...]:
        """Return the names of all models that have a version which was not rejected."""
        query = select(_TABLE.name).distinct().where(_TABLE.project == self.project, _TABLE.rejected.is_(None))
        with self.database.read() as connection:
            return tuple(connection.execute(query.order_by(_TABLE.name)).scalars())

    def newest(self) -> str:
        """Return the model that got a version last, "" if there is none."""
        query = select(_TABLE.name).where(_TABLE.project == self.project, _TABLE.rejected.is_(None))
        with self.database.read() as connection:
            return connection.execute(query.order_by(_TABLE.created_at.desc()).limit(1)).scalar_one_or_none() or ""

    def versions(
        self, name: str, limit: int, cursor: int | None = None
    ) -> tuple[tuple[VersionLine, ...], tuple[Alias, ...], int | None]:
        """Return at most `limit` versions of a model, newest first, its aliases, and the cursor; raises NotFound."""
        query = _lines().where(_TABLE.project == self.project, _TABLE.name == name).order_by(_TABLE.version.desc())
        if cursor is not None:
            query = query.where(_TABLE.version < cursor)
        with self.database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
            pointed = aliases_of(connection, self.project, name)
        if not rows:
            raise NotFound(f"there is no model {name}")
        lines = tuple(_line(row) for row in rows[:limit])
        return lines, pointed, lines[-1].version if len(rows) > limit else None

    def _leading(
        self, connection: Connection, newest: Collection[VersionLine], served: dict[str, tuple[Served, ...]]
    ) -> dict[str, VersionLine]:
        leading = {line.name: line for line in newest}
        others = list[tuple[str, int]]()
        for line in newest:
            aliases = sorted(served[line.name], key=lambda one: one.alias != "production")
            if aliases and (version := aliases[0].shares[0][0]) != line.version:
                others.append((line.name, version))
        if others:
            query = _lines().where(_TABLE.project == self.project, tuple_(_TABLE.name, _TABLE.version).in_(others))
            leading |= {row["name"]: _line(row) for row in connection.execute(query).mappings()}
        return leading

    def _served(self, connection: Connection, names: Collection[str]) -> dict[str, tuple[Served, ...]]:
        weights, pointed = alias_weights.c, aliases.c
        same = (weights.project == pointed.project) & (weights.model == pointed.model)
        query = (
            select(pointed.model, pointed.alias, pointed.shadow, weights.version, weights.weight)
            .join(alias_weights, same & (weights.alias == pointed.alias))
            .where(pointed.project == self.project, pointed.model.in_(names))
            .order_by(pointed.model, pointed.alias, weights.weight.desc(), weights.version.desc())
        )
        shares: dict[tuple[str, str, int | None], list[tuple[int, int]]] = defaultdict(list)
        for row in connection.execute(query):
            shares[row.model, row.alias, row.shadow].append((row.version, row.weight))
        served: dict[str, tuple[Served, ...]] = defaultdict(tuple)
        for (model, alias, shadow), parts in shares.items():
            served[model] += (Served(alias=alias, shares=tuple(parts), shadow=shadow),)
        return served


def _lines(*more: Any) -> Select[Any]:
    manifest = _TABLE.manifest
    columns = [_TABLE.name, _TABLE.version, _TABLE.dataset, _TABLE.created_at, _TABLE.rejected, *more]
    for split in ("test", "val"):
        for field, path in (
            ("accuracy", ("accuracy",)),
            ("low", ("accuracy_interval", 0)),
            ("high", ("accuracy_interval", 1)),
            ("macro_f1", ("macro_f1",)),
        ):
            columns.append(manifest[("metrics", split, *path)].as_float().label(f"{split}_{field}"))
    columns.append(manifest["quarantined"].as_string().label("quarantined"))
    columns.append(manifest[("lineage", "spec", "method")].as_string().label("requested_method"))
    columns.append(manifest["decisions"].label("decisions"))
    serving = func.coalesce(_TABLE.serving, manifest["serving"].as_string(), "fp32")
    return select(*columns, serving.label("serving"))


def _line(row: RowMapping) -> VersionLine:
    split = "val" if row["test_accuracy"] is None else "test"
    numbers = {field: row[f"{split}_{field}"] for field in ("accuracy", "low", "high", "macro_f1")}
    own = {field: row[field] for field in VersionLine.model_fields if field in row}
    decided = {choice["what"]: choice["value"] for choice in row["decisions"] or ()}
    method = decided.get("method", row["requested_method"])
    return VersionLine.model_validate(own | numbers | {"method": method})
