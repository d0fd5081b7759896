"""What the review screens show: how many images a person has left, what people answered lately, and what comes next."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, select

from contract.base import Frozen
from contract.reviews import ReviewSource
from services.storage.database import Database
from services.storage.people.queue import ReviewFilter, answered_by, matching
from services.storage.tables import dataset_versions, review_answers, review_items

MOST_COUNTED = 10_000  # open items; counting more would take longer than the number is worth
_ITEM = ("source", "state", "model", "alias", "dataset", "sha256", "label_now", "applied_to")
_ANSWER = ("item_id", "reviewer", "reviewer_name", "label", "not_any", "skip", "at")


class Share(NamedTuple):
    """How many answers a person gave."""

    reviewer: str
    name: str
    answers: int


class Standing(NamedTuple):
    """What is left for a person, at most MOST_COUNTED; the answers of all people since a time, the busiest first."""

    left: int
    shares: tuple[Share, ...]

    def of(self, reviewer: str) -> int:
        """Return how many answers a person gave."""
        return next((share.answers for share in self.shares if share.reviewer == reviewer), 0)


class RecentAnswer(Frozen):
    """An answer of a person, and the image that it is about: an image of a dataset version, or the copy of a sample."""

    item_id: str
    reviewer: str
    reviewer_name: str
    label: str | None
    not_any: bool
    skip: bool
    at: datetime
    source: ReviewSource
    state: str
    model: str | None
    alias: str | None
    dataset: str | None
    sha256: str
    label_now: str | None
    applied_to: str | None
    has_version: bool
    has_copy: bool


@dataclass(frozen=True)
class ReviewScreens:
    """Reads a project's review queue."""

    database: Database
    project: str

    def standing(self, reviewer: str, since: datetime, where: ReviewFilter | None = None) -> Standing:
        """Return what is left for a person of the items that match, and all people's answers since a time."""
        answer = review_answers.c
        answers = (answer.project == self.project) & answer.undone_at.is_(None)
        open_items = self._open(where or ReviewFilter()) & ~answered_by(reviewer)
        counts = (
            select(answer.reviewer, func.max(answer.reviewer_name), func.count())
            .where(answers, answer.at >= since)
            .group_by(answer.reviewer)
            .order_by(func.count().desc(), answer.reviewer)
        )
        with self.database.read() as connection:
            left = connection.execute(counted(open_items)).scalar_one()
            return Standing(left, tuple(Share(*row) for row in connection.execute(counts)))

    def recent(self, limit: int) -> tuple[RecentAnswer, ...]:
        """Return the newest answers that were not undone."""
        columns = [review_answers.c[name] for name in _ANSWER] + [review_items.c[name] for name in _ITEM]
        version = dataset_versions.c
        in_project = version.project == self.project
        has_version = exists().where(
            in_project, version.name + "@" + cast(version.version, Text) == review_items.c.dataset
        )
        query = (
            select(*columns, has_version.label("has_version"), review_items.c.file.is_not(None).label("has_copy"))
            .join(review_items, review_items.c.id == review_answers.c.item_id)
            .where(review_answers.c.project == self.project, review_answers.c.undone_at.is_(None))
            .order_by(review_answers.c.at.desc(), review_answers.c.item_id.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            return tuple(RecentAnswer.model_validate(dict(row)) for row in connection.execute(query).mappings())

    def _open(self, where: ReviewFilter) -> ColumnElement[bool]:
        return matching(self.project, where._replace(state="open"))


def counted(where: ColumnElement[bool], most: int = MOST_COUNTED) -> Select[int]:
    """Return the query of how many items match, at most `most`."""
    rows = select(review_items.c.id).where(where).limit(most).subquery()
    return select(func.count()).select_from(rows)
