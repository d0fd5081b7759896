"""What people answer: one row for each person and item, and the decision that follows from the rows.

An item is decided as soon as `votes` people have given the same answer. With two votes and two different answers it
stays open and goes to another person, until two agree. To skip is no vote: the item goes to other people, and is
skipped for good once MOST_SKIPS of them could not tell and nobody has answered.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from contract.errors import Conflict, NotFound
from contract.reviews import PersonAnswer, ReviewAnswer, ReviewItem
from services.storage.people.classes import require_class
from services.storage.people.rows import Reviewer, answers_of, find, item_of, named
from services.storage.tables import review_answers, review_items

MOST_SKIPS = 3  # people who skip an item before it is given up
_FREE = {"leased_by": None, "lease": None, "leased_until": None}


def require_lease(row: RowMapping, lease: str, reviewer: Reviewer) -> None:
    """Raise Conflict unless the item is open and the person has its newest lease.

    A late answer is kept if its lease has run out and the item was not leased again.
    """
    if row["state"] == "expired":
        raise Conflict("the image has expired, and its copy is gone; go on with the next one")
    if row["state"] != "open":
        raise Conflict(
            "the image was decided already; go on with the next one, or take back your own answer with "
            "POST /v1/reviews/undo"
        )
    if row["lease"] is None:
        raise Conflict("the image is not leased; get it with GET /v1/reviews/next, and send the lease of that answer")
    if row["lease"] != lease:
        raise Conflict("this lease has run out, and the image was handed out again; go on with the next one")
    if row["leased_by"] != reviewer.id:
        raise Conflict("the lease belongs to another key; answer with the key that got the image")


def give(
    connection: Connection,
    project: str,
    item_id: str,
    lease: str,
    reviewer: Reviewer,
    answer: ReviewAnswer,
    now: datetime,
    *,
    new: bool,
) -> ReviewItem:
    """Keep an answer, and decide the item if enough people agree; see `Reviews.answer`."""
    row = find(connection, project, item_id, lock=True)
    before = answers_of(connection, [item_id])[item_id]
    if any(one.reviewer == reviewer.id and same_answer(one, answer) for one in before):
        return item_of(row, before, kind=ReviewItem)  # the response to the first request was lost
    require_lease(row, lease, reviewer)
    if answer.label is not None and not new:
        require_class(connection, project, item_of(row, kind=ReviewItem), answer.label)
    insert_answer(connection, project, item_id, reviewer, answer, now)
    return settle(connection, project, item_id, now)


def insert_answer(
    connection: Connection, project: str, item_id: str, reviewer: Reviewer, answer: ReviewAnswer, now: datetime
) -> None:
    """Write a person's answer, instead of an earlier one."""
    mine = (review_answers.c.item_id == item_id) & (review_answers.c.reviewer == reviewer.id)
    connection.execute(delete(review_answers).where(mine))
    values = {"item_id": item_id, "project": project, "reviewer": reviewer.id, "reviewer_name": reviewer.name}
    connection.execute(insert(review_answers).values(values | answer_values(answer) | {"at": now}))


def settle(connection: Connection, project: str, item_id: str, now: datetime, *, release: bool = True) -> ReviewItem:
    """Let an item's state follow from its answers, and release it; without `release` only if it is decided."""
    given = answers_of(connection, [item_id])[item_id]
    votes = connection.execute(select(review_items.c.votes).where(named(project, item_id))).scalar_one()
    values = _decision(given, votes, now)
    if release or values["state"] != "open":
        values |= _FREE
    changed = update(review_items).where(named(project, item_id)).values(values).returning(review_items)
    return item_of(connection.execute(changed).mappings().one(), given, kind=ReviewItem)


def undo(connection: Connection, project: str, reviewer: Reviewer, lease: dict[str, Any], now: datetime) -> ReviewItem:
    """Take back the last answer of a person; see `Reviews.undo`."""
    table = review_answers.c
    mine = (table.project == project) & (table.reviewer == reviewer.id) & table.undone_at.is_(None)
    last = select(table.item_id).where(mine).order_by(table.at.desc(), table.item_id.desc()).limit(1)
    item_id = connection.execute(last).scalar_one_or_none()
    if item_id is None:
        raise NotFound("you have no answer to undo")
    row = find(connection, project, item_id, lock=True)
    if row["applied_to"] is not None:
        raise Conflict(f"your last answer is in {row['applied_to']}; change the label there, which makes a new version")
    if row["state"] == "expired":
        raise Conflict("the image of your last answer has expired, and its copy is gone")
    connection.execute(update(review_answers).where(mine, table.item_id == item_id).values(undone_at=now))
    if row["leased_until"] is not None and row["leased_until"] > now:  # only of an open item
        return item_of(row, of_reviewer(connection, item_id, reviewer), kind=ReviewItem)
    settle(connection, project, item_id, now)
    held = update(review_items).where(named(project, item_id)).values(lease).returning(review_items)
    row = connection.execute(held).mappings().one()
    return item_of(row, of_reviewer(connection, item_id, reviewer), reviewer=reviewer.id, kind=ReviewItem)


def of_reviewer(connection: Connection, item_id: str, reviewer: Reviewer) -> tuple[PersonAnswer, ...]:
    """Return the person's own answers to an item."""
    given = answers_of(connection, [item_id])[item_id]
    return tuple(answer for answer in given if answer.reviewer == reviewer.id)


def same_answer(one: ReviewAnswer, other: ReviewAnswer) -> bool:
    return answer_values(one) == answer_values(other)


def answer_values(answer: ReviewAnswer) -> dict[str, Any]:
    return {"label": answer.label, "not_any": answer.not_any, "skip": answer.skip}


def _decision(answers: tuple[PersonAnswer, ...], votes: int, now: datetime) -> dict[str, Any]:
    counts = Counter((answer.label, answer.not_any) for answer in answers if not answer.skip)
    for (label, not_any), count in counts.items():
        if count >= votes:
            return {"state": "done", "label": label, "not_any": not_any, "decided_at": now}
    given_up = not counts and len(answers) >= MOST_SKIPS
    state, decided_at = ("skipped", now) if given_up else ("open", None)
    return {"state": state, "label": None, "not_any": False, "decided_at": decided_at}
