"""What model versions have answered, by day, and whether an alias's requests have changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from contract.drift import AliasDrift, DriftAlarm, DriftCounts, DriftReference
from contract.errors import NotFound
from media.drift.windows import LONGEST, Days
from services.storage.database import Database
from services.storage.people.drift_report import Reviewed, alarm_of, report
from services.storage.tables import alias_weights, drift_counts, model_versions, review_items

MOST_REVIEWED = 20_000  # the newest reviews that a report counts

Version = tuple[str, int]  # of a model


class Drift:
    """The counts of a project's model versions; methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def add(self, model: str, version: int, day: date, counts: DriftCounts) -> None:
        """Add to what a version has counted on a day.

        Raises NotFound if the version is gone, and Conflict if another replica was faster. If the reply to a write is
        lost, its counts are added twice.
        """
        table = drift_counts.c
        own = (table.project == self._project) & (table.model == model)
        row = own & (table.version == version) & (table.day == day)
        with self._database.write() as connection:
            if connection.execute(select(model_versions.c.version).where(self._is(model, [version]))).first() is None:
                raise NotFound(f"there is no model {model}@{version}")
            stored = connection.execute(select(table.counts).where(row).with_for_update()).scalar_one_or_none()
            if stored is None:
                values = {"project": self._project, "model": model, "version": version, "day": day}
                connection.execute(insert(drift_counts).values(values | {"counts": counts.model_dump(mode="json")}))
            else:
                total = DriftCounts.model_validate(stored) + counts
                connection.execute(update(drift_counts).where(row).values(counts=total.model_dump(mode="json")))

    def of_alias(self, model: str, alias: str, days: int = LONGEST) -> AliasDrift:
        """Report on the last days of an alias; raises NotFound."""
        today = self._database.now().date()
        with self._database.read() as connection:
            shares = alias_weights.c
            named = (shares.project == self._project) & (shares.model == model) & (shares.alias == alias)
            versions = connection.execute(select(shares.version).where(named).order_by(shares.version)).scalars().all()
            if not versions:
                raise NotFound(f"the model {model} has no alias {alias}")
            since = today - timedelta(days=days + LONGEST)
            table = drift_counts.c
            counts = self._counts(connection, since, (table.model == model) & table.version.in_(versions))
            references = self._references(connection, [(model, version) for version in versions])
            reviewed = self._reviewed(connection, model, versions, today - timedelta(days=days - 1))
        known = {version: references.get((model, version)) for version in versions}
        return report(model, alias, known, counts.get(model, {}), reviewed, today, days)

    def alarms(self, model: str | None = None, alias: str | None = None) -> tuple[DriftAlarm, ...]:
        """Return the aliases whose requests have changed, by model and alias; only of a model or an alias, if given."""
        today = self._database.now().date()
        with self._database.read() as connection:
            shares, table = alias_weights.c, drift_counts.c
            wanted = [shares.project == self._project]
            wanted += [] if model is None else [shares.model == model]
            wanted += [] if alias is None else [shares.alias == alias]
            served = exists().where(*wanted, shares.model == table.model, shares.version == table.version)
            counts = self._counts(connection, today - timedelta(days=LONGEST - 1), served)
            columns = (shares.model, shares.alias, shares.version)
            query = select(*columns).where(*wanted, shares.model.in_(counts)).order_by(*columns)
            aliases: dict[tuple[str, str], list[int]] = defaultdict(list)
            for name, own, version in connection.execute(query):
                aliases[name, own].append(version)
            used = {(name, version) for (name, _), versions in aliases.items() for version in versions}
            references = self._references(connection, sorted(used))
        alarms = []
        for (name, own), versions in aliases.items():
            known = {version: references.get((name, version)) for version in versions}
            alarms.append(alarm_of(name, own, known, counts[name], today))
        return tuple(alarm for alarm in alarms if alarm is not None)

    def _counts(self, connection: Connection, since: date, condition: ColumnElement[bool]) -> dict[str, Days]:
        """Read the counts from a day on that meet a condition, by model, day and version."""
        table = drift_counts.c
        query = select(drift_counts).where(table.project == self._project, table.day >= since, condition)
        by_model: dict[str, dict[date, dict[int, DriftCounts]]] = defaultdict(lambda: defaultdict(dict))
        for row in connection.execute(query):
            by_model[row.model][row.day][row.version] = DriftCounts.model_validate(row.counts)
        return {model: dict(days) for model, days in by_model.items()}

    def _references(self, connection: Connection, versions: Sequence[Version]) -> Mapping[Version, DriftReference]:
        """Read the references of versions that have one, without the rest of their manifests."""
        by_model: dict[str, list[int]] = defaultdict(list)
        for model, version in versions:
            by_model[model].append(version)
        table, references = model_versions.c, dict[Version, DriftReference]()
        for model, numbers in by_model.items():
            query = select(table.version, table.manifest["drift_reference"]).where(self._is(model, numbers))
            for version, reference in connection.execute(query):
                if reference is not None:
                    references[model, version] = DriftReference.model_validate(reference)
        return references

    def _reviewed(self, connection: Connection, model: str, versions: Sequence[int], since: date) -> list[Reviewed]:
        """Read which of the images sampled at random since a day the model got right, if a person has decided."""
        table = review_items.c
        query = select(table.created_at, table.label, table.not_any, table.guess).where(
            table.project == self._project,
            table.source == "random",
            table.state == "done",
            table.model == model,
            table.model_version.in_(versions),
            table.created_at >= datetime.combine(since, time(), UTC),
        )
        rows = connection.execute(query.order_by(table.created_at.desc()).limit(MOST_REVIEWED))
        return [
            Reviewed(row.created_at.date(), not row.not_any and row.guess[0][0] == row.label)
            for row in rows
            if row.guess
        ]

    def _is(self, model: str, versions: Sequence[int]) -> ColumnElement[bool]:
        table = model_versions.c
        return (table.project == self._project) & (table.name == model) & table.version.in_(versions)


def prune_drift(database: Database, before: date) -> int:
    """Delete the counts of all projects from before a day; return how many rows there were."""
    with database.write() as connection:
        return connection.execute(delete(drift_counts).where(drift_counts.c.day < before)).rowcount
