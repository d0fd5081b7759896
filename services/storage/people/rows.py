"""Rows of the review queue as the types of the contract."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from contract.errors import NotFound
from contract.reviews import PersonAnswer, ReviewItem
from services.storage.tables import review_answers, review_items

Item = TypeVar("Item", bound=ReviewItem)
_COLUMNS = frozenset(ReviewItem.model_fields) & frozenset(review_items.c.keys())


class Reviewer(NamedTuple):
    """A person who reviews: the id and the name of the API key."""

    id: str
    name: str


def named(project: str, item_id: str) -> ColumnElement[bool]:
    """Return the condition that a row is that of an item of a project."""
    return (review_items.c.project == project) & (review_items.c.id == item_id)


def find(connection: Connection, project: str, item_id: str, *, lock: bool = False) -> RowMapping:
    """Return the row of an item, with `lock` locked until the transaction ends; raises NotFound."""
    query = select(review_items).where(named(project, item_id))
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such review item; it was erased, or its images are gone")
    return row


def answers_of(connection: Connection, ids: Sequence[str]) -> defaultdict[str, tuple[PersonAnswer, ...]]:
    """Return the answers to items that were not undone, oldest first."""
    table = review_answers.c
    query = select(review_answers).where(table.item_id.in_(ids), table.undone_at.is_(None))
    answers: defaultdict[str, tuple[PersonAnswer, ...]] = defaultdict(tuple)
    for row in connection.execute(query.order_by(table.at, table.reviewer)).mappings():
        answer = PersonAnswer.model_validate({field: row[field] for field in PersonAnswer.model_fields})
        answers[row["item_id"]] += (answer,)
    return answers


def item_of(
    row: RowMapping, answers: tuple[PersonAnswer, ...] = (), *, reviewer: str | None = None, kind: type[Item]
) -> Item:
    """Return the item of a row; the lease is only shown to the person who has it."""
    values = {column: row[column] for column in _COLUMNS}
    if reviewer is None or row["leased_by"] != reviewer:
        values |= {"lease": None, "leased_until": None}
    return kind.model_validate(values | {"answers": answers})
