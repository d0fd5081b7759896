"""What leaves the review queue: expired samples, erased images, those of a deleted dataset version or project."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, or_, select, update

from contract.references import Reference
from services.storage.database import Database
from services.storage.people.queue import has_answer
from services.storage.references import Owner, drop_references
from services.storage.tables import dataset_versions, feedback, review_items

BATCH = 500  # rows of a transaction
KEEP_EXPIRED = timedelta(days=30)  # the rows, without images
KEEP_FEEDBACK = timedelta(days=365)
KEEP_ANSWERED = timedelta(days=365)  # after `expires_at`, the copies of answers that no version takes
WITHOUT_IMAGE = {"file": None, "leased_by": None, "lease": None, "leased_until": None}


def expire_reviews(database: Database) -> int:
    """Remove copies of samples without an answer in time, and of answers that are in a version; return how many.

    The collector deletes the copies. An answer that is in no version yet is kept for KEEP_ANSWERED longer, also one
    that waits for a second person, and so is an image that a person holds. Rows go later: of expired items after
    KEEP_EXPIRED, of feedback after KEEP_FEEDBACK.
    """
    now, table = database.now(), review_items.c
    free = or_(table.leased_until.is_(None), table.leased_until <= now)
    due = (table.expires_at <= now) & free & table.file.is_not(None)
    unanswered = due & table.state.in_(["open", "skipped"]) & ~has_answer()
    applied = due & table.applied_to.is_not(None)
    forgotten = due & table.applied_to.is_(None) & (table.expires_at <= now - KEEP_ANSWERED)
    forgotten &= or_(table.decided_at.is_(None), table.decided_at <= now - KEEP_ANSWERED)
    count = _in_batches(database, or_(unanswered, forgotten), {**WITHOUT_IMAGE, "state": "expired"})
    count += _in_batches(database, applied, WITHOUT_IMAGE)
    with database.write() as connection:
        gone = (table.state == "expired") & (table.expires_at <= now - KEEP_EXPIRED)
        connection.execute(delete(review_items).where(gone))
        connection.execute(delete(feedback).where(feedback.c.at <= now - KEEP_FEEDBACK))
    return count


def erase_reviews(connection: Connection, project: str, sha256: str) -> int:
    """Remove the items of an image, by the hash of the original or of a copy, with their answers; return how many."""
    of_image = select(review_items.c.id).where(holds_image(project, sha256))
    ids = connection.execute(of_image.order_by(review_items.c.id)).scalars().all()
    remove_reviews(connection, ids)
    return len(ids)


def holds_image(project: str, sha256: str) -> ColumnElement[bool]:
    """Return the condition that an item of a project is of an image, by the hash of the original or of a copy."""
    table = review_items.c
    return (table.project == project) & or_(table.sha256 == sha256, table.original_sha256 == sha256)


def forget_dataset(connection: Connection, project: str, reference: str) -> None:
    """Remove the open items of a dataset version that is deleted; answers are kept for the versions after it.

    Answers that the deleted version had wait for a version again, unless one was made from it, which has them too.
    """
    table, versions = review_items.c, dataset_versions.c
    same = (versions.project == project) & (versions.name == Reference.parse(reference).name)
    parent = versions.manifest["revision"]["parent"].as_string()
    if not connection.execute(select(exists().where(same, parent == reference))).scalar():
        applied = (table.project == project) & (table.applied_to == reference)
        connection.execute(update(review_items).where(applied).values(applied_to=None))
    undecided = (table.project == project) & (table.dataset == reference) & (table.state != "done")
    connection.execute(delete(review_items).where(undecided))


def remove_reviews(connection: Connection, ids: Sequence[str]) -> None:
    """Remove items with their answers and copies, and the feedback about them."""
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        connection.execute(delete(review_items).where(review_items.c.id.in_(part)))  # first, as feedback locks them
        connection.execute(delete(feedback).where(feedback.c.item_id.in_(part)))
        drop_references(connection, Owner.REVIEW, *part)


def _in_batches(database: Database, where: ColumnElement[bool], values: Mapping[str, object]) -> int:
    """Change the items that fulfil a condition and release their copies; return how many."""
    count = 0
    while True:
        with database.write() as connection:
            rows = select(review_items.c.id).where(where).limit(BATCH).with_for_update(skip_locked=True)
            ids = connection.execute(rows).scalars().all()
            if ids:
                connection.execute(update(review_items).where(review_items.c.id.in_(ids)).values(values))
                drop_references(connection, Owner.REVIEW, *ids)
        count += len(ids)
        if len(ids) < BATCH:
            return count
