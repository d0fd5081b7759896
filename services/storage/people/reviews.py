"""The review queue of a project: adds images, leases them to people, and keeps what they answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from contract.artifacts import ObjectRef
from contract.audit import AuditAction
from contract.reviews import (
    AnsweredReview,
    LeasedReview,
    NewReview,
    ReviewAnswer,
    ReviewBatch,
    ReviewItem,
    ReviewPage,
    ReviewProgress,
    ReviewSource,
    SourceResult,
)
from services.storage.access.audit import Actor, record
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.people import answers
from services.storage.people.classes import classes_of
from services.storage.people.progress import disagreements, mean_kappa, pairs_of, progress_of
from services.storage.people.queue import (
    ANY,
    Candidates,
    ReviewFilter,
    add_reviews,
    decided,
    free_items,
    matching,
    new_id,
    of_dataset,
    unleased,
    why_none,
)
from services.storage.people.rows import Reviewer, answers_of, find, item_of
from services.storage.tables import review_items

LEASE_S = 120


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

    def bring(self, candidates: Candidates, once: IdempotencyKey | None = None) -> SourceResult:
        """Add the images of a source; return how many there are, and how many were new."""
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return SourceResult.model_validate(earlier)
            added = add_reviews(connection, self._project, candidates.items, self._database.now())
            result = SourceResult(matching=candidates.matching, added=added, dataset=candidates.dataset)
            remember(connection, once, result.model_dump(mode="json"), self._database)
        return result

    def known(self, source: ReviewSource, dataset: str | None = None) -> set[str]:
        """Return the hashes of all images that a source has brought already, from a dataset version if one is named."""
        table = review_items.c
        query = select(table.sha256).where(table.project == self._project, table.source == source)
        if dataset is not None:
            query = query.where(table.dataset == dataset)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def batch(self, reviewer: Reviewer, count: int = 1, where: ReviewFilter = ANY) -> ReviewBatch:
        """Lease the first open items without a lease and without an answer of this person; say why there are none.

        Two people never hold the same item: the transaction locks the items, and skips those that another one locks.
        """
        now = self._database.now()
        with self._database.write() as connection:
            ids = connection.execute(free_items(self._project, reviewer, where, now).limit(count)).scalars().all()
            if not ids:
                return ReviewBatch(items=(), reason=why_none(connection, self._project, reviewer, where, now))
            leased = update(review_items).where(review_items.c.id.in_(ids), unleased(now))
            rows = connection.execute(leased.values(self._lease(reviewer, LEASE_S)).returning(review_items)).mappings()
            items = [item_of(row, reviewer=reviewer.id, kind=LeasedReview) for row in rows]
            known = {(item.dataset, item.model, item.model_version): item for item in items}
            classes = {key: classes_of(connection, self._project, item) for key, item in known.items()}
        items.sort(key=lambda item: (-item.priority, item.created_at, item.id))
        return ReviewBatch(
            items=tuple(
                item.model_copy(update={"classes": classes[item.dataset, item.model, item.model_version]})
                for item in items
            )
        )

    def extend(self, item_id: str, lease: str, reviewer: Reviewer, lease_s: float = LEASE_S) -> ReviewItem:
        """Hold an item for longer, from now on; raises NotFound, or Conflict for a lease that ended.

        Other people's answers are left out, so that the votes are independent.
        """
        until = self._database.now() + timedelta(seconds=lease_s)
        with self._database.write() as connection:
            answers.require_lease(find(connection, self._project, item_id, lock=True), lease, reviewer)
            held = update(review_items).where(review_items.c.id == item_id).values(leased_until=until)
            row = connection.execute(held.returning(review_items)).mappings().one()
            given = answers.of_reviewer(connection, item_id, reviewer)
        return item_of(row, given, reviewer=reviewer.id, kind=ReviewItem)

    def answer(
        self, item_id: str, lease: str, reviewer: Reviewer, answer: ReviewAnswer, *, new: bool = False
    ) -> ReviewItem:
        """Keep an answer; the item is decided as soon as enough people agree.

        Sending the same answer again changes nothing. Raises NotFound, Conflict if the item was decided or another
        person has it, and Invalid for a label that resembles a known class, unless it is said to be `new`.
        """
        now = self._database.now()
        with self._database.write() as connection:
            return answers.give(connection, self._project, item_id, lease, reviewer, answer, now, new=new)

    def undo(self, reviewer: Reviewer, lease_s: float = LEASE_S, once: IdempotencyKey | None = None) -> ReviewItem:
        """Take back the person's last answer, and lease the item to the person again unless another one has it.

        Other people's answers are left out. Raises NotFound if there is nothing to undo, and Conflict if a dataset
        version has the answer.
        """
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return ReviewItem.model_validate(earlier)
            lease, now = self._lease(reviewer, lease_s), self._database.now()
            item = answers.undo(connection, self._project, reviewer, lease, now)
            if item.lease is not None:
                item = item.model_copy(update={"classes": classes_of(connection, self._project, item)})
            remember(connection, once, item.model_dump(mode="json"), self._database)
        return item

    def list(
        self, where: ReviewFilter, limit: int, cursor: str | None = None, *, disagreement: bool = False
    ) -> ReviewPage:
        """Return a page of items with their answers, newest first; with `disagreement`, those with different ones."""
        query = select(review_items).where(matching(self._project, where)).order_by(review_items.c.id.desc())
        if disagreement:
            query = query.where(review_items.c.id.in_(disagreements(self._project)))
        if cursor is not None:
            query = query.where(review_items.c.id < cursor)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
            given = answers_of(connection, [row["id"] for row in rows[:limit]])
        items = tuple(item_of(row, given[row["id"]], kind=ReviewItem) for row in rows[:limit])
        return ReviewPage(items=items, next=items[-1].id if len(rows) > limit else None)

    def view(self, item_id: str) -> tuple[ReviewItem, ObjectRef | None]:
        """Return an item, and the copy of a sample; the audit trail gets an entry. Raises NotFound."""
        with self._database.write() as connection:
            row = find(connection, self._project, item_id)
            subject, now = f"images/{row['sha256']}", self._database.now()
            record(connection, self._actor, AuditAction.VIEW, subject, now, f"reviews/{item_id}")
        file = None if row["file"] is None else ObjectRef.model_validate(row["file"])
        return item_of(row, kind=ReviewItem), file

    def progress(self) -> ReviewProgress:
        """Return the queue in numbers."""
        with self._database.read() as connection:
            return progress_of(connection, self._project, self._database.now())

    def kappa(self) -> float | None:
        """Return how much people agree, as `progress` has it."""
        with self._database.read() as connection:
            return mean_kappa(pairs_of(connection, self._project))

    def answered(self, dataset: str | None = None) -> tuple[AnsweredReview, ...]:
        """Return the decided items that are in no dataset version yet, in the order of their decisions.

        With the name of a dataset, those that belong to it; see `home`.
        """
        table = review_items.c
        where = decided(self._project)
        query = select(review_items).where(where if dataset is None else where & of_dataset(dataset))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.decided_at, table.id)).mappings()
            fields = AnsweredReview.model_fields
            return tuple(AnsweredReview.model_validate({field: row[field] for field in fields}) for row in rows)

    def _lease(self, reviewer: Reviewer, seconds: float) -> dict[str, Any]:
        until = self._database.now() + timedelta(seconds=seconds)
        return {"leased_by": reviewer.id, "lease": new_id(), "leased_until": until}
