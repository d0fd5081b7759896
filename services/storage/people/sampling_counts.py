"""The counters by which gateways share the daily budget of an alias, and images that were sampled already."""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update

from contract.base import Version
from contract.sampling import SampleSource
from services.storage.database import Database
from services.storage.inserts import insert_for
from services.storage.people.sampling import of_alias, stored_bytes
from services.storage.tables import review_items, sampling_counts

KEPT = timedelta(days=8)


class Counted(NamedTuple):
    """What all gateways have counted for an alias today and yesterday, and its bytes if they were measured."""

    today: Mapping[str, int]
    yesterday: Mapping[str, int]
    stored_bytes: int | None


class Budgets(NamedTuple):
    """The most images of a source in a day, and those of one class of them; None for no limit by class."""

    total: int
    of_class: int | None


class SamplingCounts:
    """The counters of one alias; methods raise DatabaseUnavailable, and Conflict if the alias was deleted."""

    def __init__(self, database: Database, project: str, model: str, alias: str) -> None:
        self._database = database
        self._key = (project, model, alias)

    def today(self) -> date:
        """Return the day that is counted now, in UTC."""
        return self._database.now().date()

    def sync(self, counts: Mapping[str, int], measure: bool = True) -> Counted:
        """Add to the counters of today, and return what all gateways have counted; `measure` the stored copies."""
        today, table = self.today(), sampling_counts.c
        with self._database.write() as connection:
            for counter, count in counts.items():
                self._add(connection, today, counter, "", count)
            mine = of_alias(sampling_counts, *self._key)
            connection.execute(delete(sampling_counts).where(mine, table.day < today - KEPT))
            query = select(table.day, table.counter, table.value).where(mine, table.label == "")
            rows = connection.execute(query.where(table.day >= today - timedelta(days=1))).all()
        stored = None
        if measure:
            with self._database.read() as connection:
                stored = stored_bytes(connection, *self._key)
        now, before = ({row.counter: row.value for row in rows if (row.day == today) is same} for same in (True, False))
        return Counted(now, before, stored)

    def reserve(self, source: SampleSource, label: str, budgets: Budgets, day: date) -> str:
        """Take one of the images of a source, and of a class, of a day; return what is used up, "" if neither is."""
        try:
            with self._database.write() as connection:
                if not self._take(connection, day, source, "", budgets.total):
                    raise _UsedUp("budget")
                if budgets.of_class is not None and not self._take(connection, day, source, label, budgets.of_class):
                    raise _UsedUp("class")
        except _UsedUp as error:
            return error.reason
        return ""

    def give_back(self, source: SampleSource, label: str, day: date) -> None:
        """Undo a reservation of a day whose image was not stored."""
        table = sampling_counts.c
        taken = of_alias(sampling_counts, *self._key) & (table.day == day) & (table.counter == source)
        with self._database.write() as connection:
            for name in ("", label):  # in the order of `reserve`, or each could wait for the other
                one = taken & (table.label == name) & (table.value > 0)
                connection.execute(update(sampling_counts).where(one).values(value=table.value - 1))

    def known(self, source: SampleSource, sha256: str, version: Version | None) -> bool:
        """Return whether the model's queue has had the image, by the hash of its copy.

        If it was taken for another reason and now drawn at random, it becomes part of the random slice, with a random
        priority; without it, the slice would lack doubtful images that are sent often. Each version of the model has a
        random slice, so that an image that is drawn at random again for another version is not known.
        """
        project, model, _ = self._key
        table = review_items.c
        same = (table.project == project) & (table.model == model) & (table.sha256 == sha256)
        sampled = same & table.source.in_(["margin", "random", "disagreement"]) & (table.state != "expired")
        if source == "random":
            sampled &= table.model_version == version
        query = select(table.id, table.source).where(sampled).order_by(table.source != "random").limit(1)
        with self._database.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is not None and source == "random" != row.source:
                values = {"source": "random", "priority": random.random()}  # noqa: S311  no secret
                connection.execute(update(review_items).where(table.id == row.id).values(values))
        return row is not None

    def _add(self, connection: Connection, day: date, counter: str, label: str, count: int) -> None:
        new = self._insert(connection, day, counter, label, count)
        connection.execute(new.on_conflict_do_update(set_={"value": sampling_counts.c.value + count}, **_PRIMARY))

    def _take(self, connection: Connection, day: date, counter: str, label: str, most: int) -> bool:
        if most < 1:
            return False
        value = sampling_counts.c.value
        new = self._insert(connection, day, counter, label, 1)
        taken = new.on_conflict_do_update(set_={"value": value + 1}, where=value < most, **_PRIMARY)
        return connection.execute(taken.returning(value)).first() is not None

    def _insert(self, connection: Connection, day: date, counter: str, label: str, count: int) -> Any:
        project, model, alias = self._key
        key = {"project": project, "model": model, "alias": alias, "day": day, "counter": counter, "label": label}
        return insert_for(connection, sampling_counts).values(key | {"value": count})


class _UsedUp(Exception):
    """Rolls a reservation back."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


_PRIMARY: dict[str, Any] = {"index_elements": list(sampling_counts.primary_key)}
