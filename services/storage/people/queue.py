"""Rows of the review queue: which ones match, which one comes next, and how they are added."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import uuid_utils
from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select, update

from contract.errors import Conflict
from contract.references import Reference
from contract.reviews import NewReview
from services.storage.inserts import insert_for
from services.storage.people.feedback import answer_by_earlier_feedback
from services.storage.people.rows import Reviewer
from services.storage.references import Owner, add_references
from services.storage.tables import model_versions, review_answers, review_items

BATCH = 500  # rows of a statement; SQLite bounds the values of one


class ReviewFilter(NamedTuple):
    """Selects items; None matches any. `dataset` is a name, or a pinned reference."""

    model: str | None = None
    dataset: str | None = None
    source: str | None = None
    state: str | None = None


ANY = ReviewFilter()


class Candidates(NamedTuple):
    """How many images a source has, and the most doubtful of them as items; `dataset` is their version."""

    matching: int
    items: tuple[NewReview, ...]
    dataset: str | None


def new_id() -> str:
    return str(uuid_utils.uuid7())


def matching(project: str, where: ReviewFilter) -> ColumnElement[bool]:
    """Return the condition that an item belongs to a project and matches a filter."""
    table = review_items.c
    condition = table.project == project
    for column in ("state", "source", "model"):
        if (value := getattr(where, column)) is not None:
            condition &= table[column] == value
    if where.dataset is None:
        return condition
    if "@" in where.dataset:
        return condition & (table.dataset == where.dataset)
    return condition & table.dataset.startswith(f"{where.dataset}@", autoescape=True)


def decided(project: str) -> ColumnElement[bool]:
    """Return the condition that an item of a project is decided and in no dataset version yet."""
    table = review_items.c
    return (table.project == project) & (table.state == "done") & table.applied_to.is_(None)


def home() -> "ColumnElement[str | None]":
    """Return the dataset version that an item belongs to, such as pets@3; null if it belongs to none.

    An image of a dataset belongs to its version, and a sample to the version that its model version was trained on. If
    that model version is gone or was uploaded, it is the one that the model's newest trained version was trained on.
    """
    item, model = review_items.c, model_versions.c
    same = (model.project == item.project) & (model.name == item.model) & model.dataset.is_not(None)
    trained = select(model.dataset).where(same).correlate(review_items)
    own = trained.where(model.version == item.model_version)
    newest = trained.order_by(model.version.desc()).limit(1)
    return func.coalesce(item.dataset, own.scalar_subquery(), newest.scalar_subquery())


def of_dataset(name: str) -> ColumnElement[bool]:
    """Return the condition that an item belongs to a version of a dataset."""
    return home().startswith(f"{name}@", autoescape=True)


def free_items(project: str, reviewer: Reviewer, where: ReviewFilter, now: datetime) -> "Select[str]":
    """Select the open items without a lease and without an answer of this person, in the order of the queue.

    PostgreSQL locks them and skips those that another transaction has locked; SQLite has one writer at a time.
    """
    table = review_items.c
    alive = or_(table.expires_at.is_(None), table.expires_at > now, has_answer())
    open_items = matching(project, where._replace(state="open")) & ~answered_by(reviewer.id)
    query = select(table.id).where(open_items, unleased(now), alive)
    return query.order_by(table.priority.desc(), table.created_at, table.id).with_for_update(skip_locked=True)


def answered_by(reviewer: str) -> ColumnElement[bool]:
    """Return the condition that a person has answered or skipped an item."""
    given = review_answers.c
    own = (given.item_id == review_items.c.id) & (given.reviewer == reviewer) & given.undone_at.is_(None)
    return exists().where(own)


def has_answer() -> ColumnElement[bool]:
    """Return the condition that a person has answered an item, and not only skipped it."""
    given = review_answers.c
    own = (given.item_id == review_items.c.id) & given.undone_at.is_(None) & given.skip.is_(False)
    return exists().where(own)


def unleased(now: datetime) -> ColumnElement[bool]:
    return or_(review_items.c.leased_until.is_(None), review_items.c.leased_until <= now)


def why_none(connection: Connection, project: str, reviewer: Reviewer, where: ReviewFilter, now: datetime) -> str:
    """Say why a person gets no item."""
    table, open_items = review_items.c, matching(project, where._replace(state="open"))
    total = connection.execute(select(func.count()).select_from(review_items).where(open_items)).scalar_one()
    if not total:
        chosen = " of this model or dataset" if where.model or where.dataset else ""
        return f"no image{chosen} waits for review; add some with POST /v1/reviews/sources, or turn on sampling"
    own = (table.leased_by == reviewer.id).label("own")
    held = open_items & (table.leased_until > now) & ~answered_by(reviewer.id)
    leases = select(own, func.count(), func.min(table.leased_until)).where(held).group_by(own).order_by(own)
    first = connection.execute(leases).first()  # of others, if they hold any
    if first is not None:
        is_own, count, until = first
        who, seconds = "you" if is_own else "people", max(1, round((until - now).total_seconds()))
        return f"{who} hold {count} of the {total} images that are left; ask again in {seconds} s"
    return f"you have answered or skipped the {total} images that are left; they wait for another person"


def add_reviews(connection: Connection, project: str, items: Sequence[NewReview], now: datetime) -> int:
    """Add images to the queue of a project, in a transaction of the caller; return how many were new."""
    rows = [_row(project, item, now) for item in items]
    count = 0
    for start in range(0, len(rows), BATCH):
        new = insert_for(connection, review_items).values(rows[start : start + BATCH]).on_conflict_do_nothing()
        table = review_items.c
        added = connection.execute(new.returning(table.id, table.file, table.prediction)).all()
        for row in added:
            if row.file is not None:
                add_references(connection, Owner.REVIEW, row.id, row.file)
        samples = {row.prediction: row.id for row in added if row.prediction is not None}
        if samples:
            answer_by_earlier_feedback(connection, project, samples, now)
        count += len(added)
    return count


def mark_applied(connection: Connection, project: str, answers: Mapping[str, str | None], reference: Reference) -> None:
    """Note that a dataset version has the answers of decided items, in the transaction that publishes it.

    `answers` has the labels by id. Raises Conflict if one was undone, changed or put into another version meanwhile.
    """
    table, ids = review_items.c, sorted(answers)
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        marked = update(review_items).where(decided(project), table.id.in_(part)).values(applied_to=str(reference))
        labels = {row.id: row.label for row in connection.execute(marked.returning(table.id, table.label))}
        if labels != {item: answers[item] for item in part}:
            raise Conflict(
                "some of the reviews were undone or changed, or are in another version; make the version again"
            )


def _row(project: str, item: NewReview, now: datetime) -> dict[str, Any]:
    values = item.model_dump(exclude={"file", "guess"})
    file = None if item.file is None else item.file.model_dump(mode="json")
    own = {"id": new_id(), "project": project, "state": "open", "created_at": now}
    return {**values, **own, "file": file, "guess": [list(pair) for pair in item.guess]}
