"""The sampling of predictions for the review queue: turned on and off by alias."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, exists, func, insert, select, update

from contract.audit import AuditAction
from contract.errors import NotFound
from contract.sampling import AliasSampling, ReviewSampling, SampledToday
from services.storage.access.audit import Actor, record
from services.storage.database import Database
from services.storage.tables import aliases, review_items, review_sampling, sampling_counts


class Sampling:
    """The sampling of a project's aliases; methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def is_on(self, model: str, alias: str) -> bool:
        """Return whether the predictions of an alias are sampled."""
        with self._database.read() as connection:
            return sampling_of(connection, self._project, model, alias) is not None

    def get(self, model: str, alias: str) -> AliasSampling:
        """Return the sampling of an alias, with what it did today; raises NotFound, also if it is off."""
        with self._database.read() as connection:
            row = sampling_of(connection, self._project, model, alias)
            if row is None:
                raise self._missing(connection, model, alias)
            return self._shown(connection, row)

    def set(self, model: str, alias: str, settings: ReviewSampling) -> AliasSampling:
        """Turn sampling on for an alias, or change it; raises NotFound."""
        now = self._database.now()
        values = {"settings": settings.model_dump(mode="json"), "updated_at": now}
        with self._database.write() as connection:
            if not self._has_alias(connection, model, alias):
                raise self._missing(connection, model, alias)
            where = of_alias(review_sampling, self._project, model, alias)
            if not connection.execute(update(review_sampling).where(where).values(values)).rowcount:
                key = {"project": self._project, "model": model, "alias": alias}
                connection.execute(insert(review_sampling).values(key | values | {"created_at": now}))
            self._record(connection, model, alias, now, _text_of(settings))
            row = sampling_of(connection, self._project, model, alias)
            assert row is not None  # noqa: S101  just written
            return self._shown(connection, row)

    def stop(self, model: str, alias: str) -> None:
        """Turn sampling off; images that are in the queue stay. Raises NotFound, also if it is off."""
        with self._database.write() as connection:
            where = of_alias(review_sampling, self._project, model, alias)
            if not connection.execute(delete(review_sampling).where(where)).rowcount:
                raise self._missing(connection, model, alias)
            self._record(connection, model, alias, self._database.now(), "reviews off")

    def _has_alias(self, connection: Connection, model: str, alias: str) -> bool:
        return bool(connection.execute(select(exists().where(of_alias(aliases, self._project, model, alias)))).scalar())

    def _missing(self, connection: Connection, model: str, alias: str) -> NotFound:
        if not self._has_alias(connection, model, alias):
            return NotFound(f"the model {model} has no alias {alias}")
        return NotFound(f"sampling for reviews is off for {model}@{alias}; PUT turns it on")

    def _shown(self, connection: Connection, row: RowMapping) -> AliasSampling:
        model, alias, table = row["model"], row["alias"], sampling_counts.c
        today = self._database.now().date()
        counts = select(table.counter, table.value).where(of_alias(sampling_counts, self._project, model, alias))
        counted = dict(connection.execute(counts.where(table.day == today, table.label == "")).all())
        return AliasSampling(
            **settings_of(row).model_dump(),
            model=model,
            alias=alias,
            today=today_of(counted),
            stored_bytes=stored_bytes(connection, self._project, model, alias),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    def _record(self, connection: Connection, model: str, alias: str, now: datetime, detail: str) -> None:
        record(connection, self._actor, AuditAction.CHANGE, f"models/{model}@{alias}", now, detail)


def sampling_of(connection: Connection, project: str, model: str, alias: str) -> RowMapping | None:
    """Return the row of an alias's sampling, None if it is off."""
    query = select(review_sampling).where(of_alias(review_sampling, project, model, alias))
    return connection.execute(query).mappings().one_or_none()


def settings_of(row: RowMapping) -> ReviewSampling:
    """Return the settings of a row of `review_sampling`."""
    return ReviewSampling.model_validate(row["settings"])


def today_of(counts: Mapping[str, int]) -> SampledToday:
    """Return what an alias did today, by its counters."""
    return SampledToday(**{name: counts.get(name, 0) for name in SampledToday.model_fields})


def stored_bytes(connection: Connection, project: str, model: str, alias: str) -> int:
    """Return the bytes of the copies of an alias that are in the object store."""
    table = review_items.c
    own = of_alias(review_items, project, model, alias) & table.file.is_not(None)
    total = connection.execute(select(func.sum(table.file["size"].as_integer())).where(own)).scalar()
    return int(total or 0)


def of_alias(table: Table, project: str, model: str, alias: str) -> ColumnElement[bool]:
    """Return the condition that a row belongs to an alias of a project."""
    return (table.c.project == project) & (table.c.model == model) & (table.c.alias == alias)


def _text_of(settings: ReviewSampling) -> str:
    mix = ", ".join(f"{name} {share:g}" for name, share in settings.mix)
    return f"reviews of {settings.rate_per_day} images a day: {mix}; kept {settings.keep_days} days"
