"""What leaves the review queue: expired, erased, and deleted with a dataset version."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict
from contract.references import Reference
from contract.reviews import FeedbackRequest
from services.storage.database import Database
from services.storage.people.feedback import Feedback
from services.storage.people.queue import ReviewFilter, mark_applied
from services.storage.people.removal import KEEP_EXPIRED, erase_reviews, expire_reviews, forget_dataset
from services.storage.people.reviews import LEASE_S, Reviews
from services.storage.references import Owner
from services.storage.sweep.retention import RetentionSweep
from services.storage.tables import dataset_versions, review_items
from tests.integration.storage.people.items import ANN, BOB, CAT, DOG, SKIP, give, label_error, sample
from tests.integration.storage.steps import publish_dataset
from tests.support.clock import FakeClock


def copies(database: Database) -> set[str]:
    """The keys of the objects that the queue refers to."""
    with database.read() as connection:
        rows = connection.exec_driver_sql(f"SELECT key FROM object_references WHERE owner_kind = '{Owner.REVIEW}'")
        return set(rows.scalars())


def test_samples_that_nobody_answers_expire_with_their_copies(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    sweep = RetentionSweep(database, timedelta(days=30))
    reviews.add([sample(number, clock) for number in range(5)])
    reviews.add([label_error(9)])
    done, applied, skipped, open_item = [give(reviews, ANN, answer) for answer in (CAT, CAT, SKIP, CAT)]
    reviews.undo(ANN)
    with database.write() as connection:
        mark_applied(connection, DEFAULT_PROJECT, {applied.id: "cat"}, Reference.parse("pets@2"))
    assert copies(database) == {f"copy-{number}" for number in range(5)}

    # a day later, when a person still holds those that are open
    clock.tick(86400 - 10)
    held = [item for item in reviews.batch(BOB, 9).items if item.id == open_item.id]
    clock.tick(10)
    assert sweep.apply() == 1  # the copy of the applied one
    clock.tick(LEASE_S)
    assert sweep.apply() == 3

    assert copies(database) == {"copy-" + str(int(done.sha256, 16))}
    assert reviews.progress().counts == {"open": 1, "done": 2, "expired": 3}
    assert skipped.id in {item.id for item in reviews.list(ReviewFilter(state="expired"), 9).items}
    with pytest.raises(Conflict, match="expired"):
        reviews.answer(open_item.id, held[0].lease, BOB, CAT)
    assert [item.sha256 for item in reviews.batch(BOB, 9).items] == [label_error(9).sha256]

    # and the rows go later
    clock.tick(KEEP_EXPIRED.total_seconds())
    expire_reviews(database)
    assert reviews.progress().counts == {"open": 1, "done": 2}


def test_an_answer_that_waits_for_a_second_person_outlives_the_time_of_its_image(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    reviews.add([sample(number, clock, votes=2) for number in (1, 2)])
    answered, _ = give(reviews, ANN, CAT), give(reviews, ANN, SKIP)
    clock.tick(86400)

    assert expire_reviews(database) == 1

    assert give(reviews, BOB, CAT).id == answered.id
    assert reviews.progress().counts == {"done": 1, "expired": 1}


def test_answers_that_no_version_takes_are_not_kept_for_ever(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    reviews.add([sample(number, clock, votes=number) for number in (1, 2)])
    give(reviews, ANN, CAT), give(reviews, ANN, CAT)
    clock.tick(timedelta(days=365).total_seconds())
    assert expire_reviews(database) == 0

    clock.tick(86400)

    assert expire_reviews(database) == 2
    assert copies(database) == set()
    assert reviews.answered() == ()


@pytest.mark.parametrize("hashed", [4, 1004])
def test_an_erased_image_leaves_nothing_in_the_queue(
    reviews: Reviews, database: Database, clock: FakeClock, hashed: int
) -> None:
    reviews.add([sample(number, clock) for number in (4, 5)])
    Reviews(database, "lab").add([sample(4, clock)])
    for _ in range(2):
        give(reviews, ANN, CAT)
    feedback = Feedback(database, DEFAULT_PROJECT)
    feedback.give(FeedbackRequest(prediction="request-4", label="dog"), BOB)

    with database.write() as connection:
        assert erase_reviews(connection, DEFAULT_PROJECT, f"{hashed:064x}") == 1
        assert erase_reviews(connection, DEFAULT_PROJECT, f"{hashed:064x}") == 0

    assert [int(item.sha256, 16) for item in reviews.answered()] == [5]
    assert copies(database) == {"copy-4", "copy-5"}  # that of the other project
    assert Reviews(database, "lab").progress().counts == {"open": 1}
    with database.read() as connection:
        for table, count in (("review_answers", 1), ("feedback", 0)):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == count


def test_the_open_items_of_a_deleted_version_go_and_answers_stay(reviews: Reviews, database: Database) -> None:
    reviews.add([label_error(number) for number in range(3)])
    reviews.add([label_error(1, dataset="pets@10")])
    answered = give(reviews, ANN, CAT)

    with database.write() as connection:
        forget_dataset(connection, DEFAULT_PROJECT, "pets@1")

    assert [item.id for item in reviews.answered()] == [answered.id]
    assert [item.dataset for item in reviews.batch(ANN, 9).items] == ["pets@10"]


def test_answers_of_a_deleted_version_wait_for_another_one_unless_it_has_a_child(
    reviews: Reviews, database: Database
) -> None:
    publish_dataset(database, "pets")
    reviews.add([label_error(1)])
    answer = give(reviews, ANN, DOG)
    with database.write() as connection:
        mark_applied(connection, DEFAULT_PROJECT, {answer.id: "dog"}, Reference.parse("pets@2"))
        for child, applied_to in (("pets@2", "pets@2"), ("pets@1", None)):
            revision = {"revision": {"parent": child}}
            connection.execute(update(dataset_versions).values(manifest=revision))

            forget_dataset(connection, DEFAULT_PROJECT, "pets@2")

            row = connection.execute(select(review_items.c.applied_to)).scalar_one()
            assert row == applied_to
    assert [item.id for item in reviews.answered()] == [answer.id]
