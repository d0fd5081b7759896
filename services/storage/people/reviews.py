"""The review queue of a project: adds images, leases them to people, and keeps what they answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import uuid_utils
from sqlalchemy import ColumnElement, Connection, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from contract.errors import Conflict, NotFound
from contract.references import Reference
from contract.reviews import (
    AnsweredReview,
    LeasedReview,
    NewReview,
    ReviewAnswer,
    ReviewItem,
    ReviewProgress,
)
from services.storage.access.audit import Actor
from services.storage.database import Database
from services.storage.people import answers
from services.storage.people.progress import progress_of
from services.storage.people.rows import Reviewer, answers_of, item_of, named
from services.storage.references import Owner, add_references
from services.storage.tables import review_answers, review_items

LEASE_S = 120
MOST_LEASED = 50  # items that one request gets
BATCH = 500  # rows of an INSERT; SQLite bounds the values of a statement


class ReviewFilter(NamedTuple):
    """Selects items; None matches any. `dataset` is a name, or a pinned reference."""

    model: str | None = None
    dataset: str | None = None
    source: str | None = None
    state: str | None = None


class Reviews:
    """The review queue of a project; raises DatabaseUnavailable."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def add(self, items: Sequence[NewReview]) -> int:
        """Add images to the queue; return how many were new.

        An image that a source has already brought from the same dataset version is left out.
        """
        with self._database.write() as connection:
            return add_reviews(connection, self._project, items, self._database.now())

    def next(
        self,
        reviewer: Reviewer,
        count: int = 1,
        model: str | None = None,
        dataset: str | None = None,
        lease_s: float = LEASE_S,
    ) -> tuple[LeasedReview, ...]:
        """Lease the first open items that nobody holds and the person has not answered; fewer if there are fewer.

        Two people never hold the same item: the transaction locks the items, and skips those that another one locks.
        """
        now = self._database.now()
        where = ReviewFilter(model=model, dataset=dataset)
        with self._database.write() as connection:
            values = {"leased_by": reviewer.id, "lease": _new_id(), "leased_until": now + timedelta(seconds=lease_s)}
            ids = self._free(connection, reviewer, where, now, min(count, MOST_LEASED))
            leased = update(review_items).where(review_items.c.id.in_(ids), _unleased(now)).values(values)
            rows = connection.execute(leased.returning(review_items)).mappings().all()
            rows = sorted(rows, key=lambda row: (-row["priority"], row["created_at"], row["id"]))
            return tuple(item_of(row, reviewer=reviewer.id, kind=LeasedReview) for row in rows)

    def extend(self, item_id: str, lease: str, lease_s: float = LEASE_S) -> ReviewItem:
        """Hold an item for longer, from now on; raises NotFound, or Conflict if the lease is another one's."""
        now = self._database.now()
        with self._database.write() as connection:
            answers.require_lease(answers.locked(connection, self._project, item_id), lease)
            values = {"leased_until": now + timedelta(seconds=lease_s)}
            held = update(review_items).where(review_items.c.id == item_id).values(values).returning(review_items)
            row = connection.execute(held).mappings().one()
            given = answers_of(connection, [item_id])[item_id]
            return item_of(row, given, reviewer=row["leased_by"], kind=ReviewItem)

    def answer(self, item_id: str, lease: str, reviewer: Reviewer, answer: ReviewAnswer) -> ReviewItem:
        """Keep an answer; the item is decided as soon as enough people agree.

        Sending the same answer again changes nothing. Raises NotFound, or Conflict if the item was decided, or another
        person has it.
        """
        with self._database.write() as connection:
            return answers.give(connection, self._project, item_id, lease, reviewer, answer, self._database.now())

    def undo(self, reviewer: Reviewer, lease_s: float = LEASE_S) -> ReviewItem:
        """Take back the person's last answer, and lease the item to the person again unless another one has it.

        Raises NotFound if there is nothing to undo, and Conflict if a dataset version has the answer.
        """
        now = self._database.now()
        with self._database.write() as connection:
            values = {"leased_by": reviewer.id, "lease": _new_id(), "leased_until": now + timedelta(seconds=lease_s)}
            return answers.undo(connection, self._project, reviewer, values, now)

    def get(self, item_id: str) -> ReviewItem:
        """Return an item; raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(review_items).where(named(self._project, item_id))).mappings().one_or_none()
            if row is None:
                raise NotFound("there is no such review item")
            return item_of(row, answers_of(connection, [item_id])[item_id], kind=ReviewItem)

    def progress(self) -> ReviewProgress:
        """Return the queue in numbers."""
        with self._database.read() as connection:
            return progress_of(connection, self._project, self._database.now())

    def answered(
        self,
        model: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[AnsweredReview, ...]:
        """Return the decided items that are in no dataset version yet, in the order of their decisions."""
        query = select(review_items).where(self._not_applied(model, dataset, since))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(review_items.c.decided_at, review_items.c.id).limit(limit))
            fields = AnsweredReview.model_fields
            return tuple(AnsweredReview.model_validate({f: row[f] for f in fields}) for row in rows.mappings())

    def count_answered(
        self, model: str | None = None, dataset: str | None = None, since: datetime | None = None
    ) -> int:
        """Return how many items `answered` has without a limit."""
        query = select(func.count()).select_from(review_items).where(self._not_applied(model, dataset, since))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def _not_applied(self, model: str | None, dataset: str | None, since: datetime | None) -> ColumnElement[bool]:
        table = review_items.c
        where = matching(self._project, ReviewFilter(model, dataset, state="done")) & table.applied_to.is_(None)
        return where if since is None else where & (table.decided_at >= since)

    def _free(
        self, connection: Connection, reviewer: Reviewer, where: ReviewFilter, now: datetime, count: int
    ) -> list[str]:
        """Return the first items that the person may get; PostgreSQL locks them, SQLite has one writer at once."""
        table, given = review_items.c, review_answers.c
        answered = exists().where(given.item_id == table.id, given.reviewer == reviewer.id, given.undone_at.is_(None))
        alive = or_(table.expires_at.is_(None), table.expires_at > now)
        open_items = matching(self._project, where._replace(state="open"))
        query = select(table.id).where(open_items, _unleased(now), alive, ~answered)
        first = query.order_by(table.priority.desc(), table.created_at, table.id).limit(count)
        return list(connection.execute(first.with_for_update(skip_locked=True)).scalars())


def add_reviews(connection: Connection, project: str, items: Sequence[NewReview], now: datetime) -> int:
    """Add images to the queue of a project; return how many were new."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows = [_row(project, item, now) for item in items]
    count = 0
    for start in range(0, len(rows), BATCH):
        new = insert(review_items).values(rows[start : start + BATCH]).on_conflict_do_nothing()
        added = connection.execute(new.returning(review_items.c.id, review_items.c.file)).all()
        for item_id, file in added:
            if file is not None:
                add_references(connection, Owner.REVIEW, item_id, file)
        count += len(added)
    return count


def mark_applied(connection: Connection, project: str, ids: Sequence[str], reference: Reference) -> None:
    """Note that a dataset version has the answers of decided items, in the transaction that publishes it.

    Raises Conflict if one of them was undone or put into another version meanwhile.
    """
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        mine = (review_items.c.project == project) & review_items.c.id.in_(part)
        decided = mine & (review_items.c.state == "done") & review_items.c.applied_to.is_(None)
        count = connection.execute(update(review_items).where(decided).values(applied_to=str(reference))).rowcount
        if count != len(part):
            raise Conflict("some of the reviews were undone, or are in another version; make the version again")


def matching(project: str, where: ReviewFilter) -> ColumnElement[bool]:
    """Return the condition that an item belongs to a project and matches a filter."""
    table = review_items.c
    condition = table.project == project
    if where.state is not None:
        condition &= table.state == where.state
    if where.source is not None:
        condition &= table.source == where.source
    if where.model is not None:
        condition &= table.model == where.model
    if where.dataset is not None:
        pinned = "@" in where.dataset
        same = table.dataset == where.dataset
        condition &= same if pinned else table.dataset.startswith(f"{where.dataset}@", autoescape=True)
    return condition


def _unleased(now: datetime) -> ColumnElement[bool]:
    return or_(review_items.c.leased_until.is_(None), review_items.c.leased_until <= now)


def _row(project: str, item: NewReview, now: datetime) -> dict[str, Any]:
    values = item.model_dump(exclude={"file", "guess", "expires_at"})
    file = None if item.file is None else item.file.model_dump(mode="json")
    guess = [list(pair) for pair in item.guess]
    own = {"id": _new_id(), "project": project, "state": "open", "created_at": now, "expires_at": item.expires_at}
    return {**values, **own, "file": file, "guess": guess}


def _new_id() -> str:
    return str(uuid_utils.uuid7())
