"""The review queue: who gets which image, and what comes of the answers."""

from collections import Counter
from datetime import timedelta

import pytest
from pydantic import ValidationError

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict, Invalid, NotFound
from contract.references import Reference
from contract.reviews import FeedbackRequest, ReviewAnswer, ReviewAnswerRequest
from services.storage.access.audit import Actor
from services.storage.database import Database
from services.storage.people import classes, progress
from services.storage.people.classes import require_spelling
from services.storage.people.queue import ReviewFilter, mark_applied
from services.storage.people.reviews import LEASE_S, Reviews
from services.storage.people.rows import Reviewer
from tests.integration.storage.people.items import ANN, BOB, CAT, CID, DOG, NOT_ANY, SKIP, give, label_error, sample
from tests.integration.storage.steps import publish_dataset, publish_model, together
from tests.support.clock import FakeClock


def test_the_most_doubtful_item_goes_first_and_then_the_oldest(reviews: Reviews, clock: FakeClock) -> None:
    for number, priority in enumerate((0.1, 0.9, 0.5, 0.9)):
        reviews.add([label_error(number, priority=priority)])
        clock.tick(1)

    batch = reviews.batch(ANN, 2).items + reviews.batch(ANN, 9).items

    assert [int(item.sha256, 16) for item in batch] == [1, 3, 2, 0]
    assert {item.lease for item in batch} != {None}


def test_an_image_that_a_source_brings_again_is_not_added(reviews: Reviews) -> None:
    assert reviews.add([label_error(1), label_error(2), label_error(1)]) == 2
    assert reviews.add([label_error(2), label_error(3)]) == 1
    assert reviews.add([label_error(1, dataset="pets@2")]) == 1
    assert reviews.progress().counts == {"open": 4}


@pytest.mark.parametrize("votes", [1, 2])
def test_reviewers_at_once_never_hold_the_same_item_and_no_answer_is_lost(reviews: Reviews, votes: int) -> None:
    people = 6
    reviewers = [Reviewer(f"{number:08x}", f"person {number}") for number in range(people)]
    reviews.add([label_error(number, votes) for number in range(60)])

    def work(index: int) -> list[str]:
        answered = []
        while items := reviews.batch(reviewers[index], 1 + index % 3).items:
            for item in items:
                reviews.answer(item.id, item.lease, reviewers[index], CAT)  # a Conflict if another one got it
                answered.append(item.id)
        return answered

    answered = together(people, work)

    # an item that another one holds is not offered, so the last ones are left for a second round
    answered += [work(index) for index in range(people)]
    counts = Counter(item for items in answered for item in items)
    assert len(counts) == 60
    assert set(counts.values()) == {votes}
    shown = reviews.progress()
    assert shown.counts == {"done": 60}
    assert sum(person.labels for person in shown.reviewers) == 60 * votes
    assert len(reviews.answered()) == 60


def test_an_item_is_offered_again_when_its_lease_has_run_out(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(1)])
    (first,) = reviews.batch(ANN).items
    clock.tick(LEASE_S - 1)
    assert reviews.batch(BOB).items == ()
    assert "ask again in 1 s" in str(reviews.batch(BOB).reason)

    clock.tick(1)
    (second,) = reviews.batch(BOB).items

    assert second.id == first.id
    with pytest.raises(Conflict, match="handed out again"):
        reviews.answer(first.id, first.lease, ANN, CAT)
    assert reviews.answer(second.id, second.lease, BOB, DOG).label == "dog"


def test_a_person_who_holds_all_that_is_left_is_told_so(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(number, votes=2) for number in range(2)])
    assert len(reviews.batch(ANN, 2).items) == 2
    assert reviews.batch(ANN).reason == f"you hold 2 of the 2 images that are left; ask again in {LEASE_S} s"
    assert reviews.batch(BOB).reason == f"people hold 2 of the 2 images that are left; ask again in {LEASE_S} s"
    clock.tick(LEASE_S)

    for _ in range(2):
        give(reviews, ANN, CAT)
    assert len(reviews.batch(BOB, 2).items) == 2  # and what others hold is not left for those who have answered

    assert "you have answered" in str(reviews.batch(ANN).reason)


def test_a_late_answer_counts_if_nobody_else_got_the_item(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(1)])
    (item,) = reviews.batch(ANN).items
    clock.tick(10 * LEASE_S)

    assert reviews.answer(item.id, item.lease, ANN, CAT).state == "done"


def test_a_lease_can_be_extended(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(1)])
    (item,) = reviews.batch(ANN).items
    clock.tick(LEASE_S - 1)

    extended = reviews.extend(item.id, item.lease, ANN)

    assert (extended.lease, extended.leased_until) == (item.lease, clock.now + timedelta(seconds=LEASE_S))
    clock.tick(LEASE_S - 1)
    assert reviews.batch(BOB).items == ()
    with pytest.raises(Conflict, match="another key"):
        reviews.extend(item.id, item.lease, BOB)


def test_an_answer_that_is_sent_again_changes_nothing(reviews: Reviews) -> None:
    reviews.add([label_error(1)])
    (item,) = reviews.batch(ANN).items
    first = reviews.answer(item.id, item.lease, ANN, CAT)

    assert reviews.answer(item.id, item.lease, ANN, CAT) == first
    with pytest.raises(Conflict, match="undo"):
        reviews.answer(item.id, item.lease, ANN, DOG)
    with pytest.raises(NotFound):
        reviews.answer("unknown", item.lease, ANN, DOG)


def test_answers_decide(reviews: Reviews) -> None:
    reviews.add([label_error(number) for number in range(2)])

    items = [give(reviews, ANN, answer) for answer in (DOG, NOT_ANY)]

    assert [(item.state, item.label, item.not_any) for item in items] == [
        ("done", "dog", False),
        ("done", None, True),
    ]
    assert [(item.label, item.not_any) for item in reviews.answered("pets")] == [("dog", False), (None, True)]
    assert reviews.answered("pet") == ()


@pytest.mark.parametrize("votes", [1, 2])
def test_an_image_that_a_person_skips_goes_to_others_until_three_have_skipped_it(reviews: Reviews, votes: int) -> None:
    reviews.add([label_error(1, votes)])

    assert give(reviews, ANN, SKIP).state == "open"
    assert reviews.batch(ANN).items == ()
    assert "you have answered or skipped" in str(reviews.batch(ANN).reason)
    assert give(reviews, BOB, SKIP).state == "open"
    assert reviews.progress().counts == {"open": 1}
    assert reviews.progress().disagreements == 0
    assert give(reviews, CID, SKIP).state == "skipped"
    assert reviews.batch(Reviewer("0000000d", "dan")).items == ()
    assert reviews.undo(CID).state == "open"


def test_an_answer_after_skips_decides(reviews: Reviews) -> None:
    reviews.add([label_error(1)])
    for person in (ANN, BOB):
        give(reviews, person, SKIP)

    assert (give(reviews, CID, DOG).state, reviews.progress().counts) == ("done", {"done": 1})


def test_skips_do_not_give_up_an_image_that_waits_for_a_second_answer(reviews: Reviews) -> None:
    reviews.add([label_error(1, votes=2)])
    for person, answer in ((ANN, SKIP), (BOB, CAT), (CID, SKIP), (Reviewer("0000000d", "dan"), SKIP)):
        assert give(reviews, person, answer).state == "open"

    assert give(reviews, Reviewer("0000000e", "eve"), CAT).state == "done"


def test_undo_goes_back_one_answer_at_a_time(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(number) for number in range(2)])
    first = give(reviews, ANN, CAT)
    clock.tick(1)
    second = give(reviews, ANN, CAT)

    undone = [reviews.undo(ANN) for _ in range(2)]

    assert [item.id for item in undone] == [second.id, first.id]
    assert {(item.state, item.label, item.answers) for item in undone} == {("open", None, ())}
    with pytest.raises(NotFound, match="no answer to undo"):
        reviews.undo(ANN)
    # the person holds them again, and may answer differently
    assert all(item.lease for item in undone)
    answered = reviews.answer(undone[0].id, undone[0].lease or "", ANN, DOG)
    assert (answered.label, len(answered.answers)) == ("dog", 1)


def test_a_person_who_holds_an_item_does_not_see_the_answers_of_others(reviews: Reviews) -> None:
    reviews.add([label_error(1, votes=2)])
    give(reviews, ANN, CAT)
    (item,) = reviews.batch(BOB).items

    assert (item.answers, reviews.extend(item.id, item.lease, BOB).answers) == ((), ())
    reviews.answer(item.id, item.lease, BOB, DOG)
    assert reviews.undo(BOB).answers == ()


def test_undo_leaves_an_item_to_the_person_who_holds_it(reviews: Reviews) -> None:
    reviews.add([label_error(1, votes=2)])
    give(reviews, ANN, CAT)
    (held,) = reviews.batch(BOB).items

    undone = reviews.undo(ANN)

    assert (undone.state, undone.lease, undone.answers) == ("open", None, ())
    assert reviews.answer(held.id, held.lease, BOB, CAT).state == "open"
    assert give(reviews, ANN, CAT).state == "done"


def test_an_answer_in_a_version_cannot_be_undone_and_is_not_applied_twice(reviews: Reviews, database: Database) -> None:
    reviews.add([label_error(number) for number in range(2)])
    ids = [give(reviews, ANN, CAT).id for _ in range(2)]

    with database.write() as connection:
        mark_applied(connection, DEFAULT_PROJECT, {ids[0]: "cat"}, Reference.parse("pets@2"))

    assert [item.id for item in reviews.answered()] == ids[1:]
    assert reviews.progress().not_applied == 1
    for again in (dict.fromkeys(ids, "cat"), {ids[0]: "cat"}, {ids[1]: "dog"}, {ids[1]: None}):
        with pytest.raises(Conflict, match="make the version again"), database.write() as connection:
            mark_applied(connection, DEFAULT_PROJECT, again, Reference.parse("pets@3"))
    reviews.undo(ANN)
    with pytest.raises(Conflict, match="pets@2"):
        reviews.undo(ANN)


def test_two_votes_must_agree_and_a_third_person_decides(reviews: Reviews) -> None:
    reviews.add([label_error(1, votes=2)])

    # nobody votes twice
    assert give(reviews, ANN, CAT).state == "open"
    assert reviews.batch(ANN).items == ()
    assert "another person" in str(reviews.batch(ANN).reason)

    # two disagree
    assert give(reviews, BOB, DOG).state == "open"
    assert reviews.progress().disagreements == 1
    (listed,) = reviews.list(ReviewFilter(), 10, disagreement=True).items
    assert [(answer.reviewer_name, answer.label) for answer in listed.answers] == [("ann", "cat"), ("bob", "dog")]

    # and the third decides
    decided = give(reviews, CID, DOG)
    assert (decided.state, decided.label) == ("done", "dog")
    assert reviews.progress().disagreements == 0


def test_progress_counts_who_did_what_and_how_much_people_agree(reviews: Reviews, clock: FakeClock) -> None:
    reviews.add([label_error(number, votes=2) for number in range(4)])
    reviews.add([sample(9, clock)])
    for reviewer, given in ((ANN, (CAT, DOG, CAT, SKIP)), (BOB, (CAT, DOG, DOG, CAT))):
        for answer in given:
            (item,) = reviews.batch(reviewer, where=ReviewFilter(dataset="pets")).items
            reviews.answer(item.id, item.lease, reviewer, answer)
            clock.tick(1)
    reviews.batch(CID, where=ReviewFilter(model="pet-cnn"))

    shown = reviews.progress()

    assert shown.counts == {"done": 2, "open": 3}
    assert shown.by_source == {"label_errors": {"done": 2, "open": 2}, "margin": {"open": 1}}
    assert (shown.leased, shown.disagreements, shown.not_applied) == (1, 1, 2)
    assert [(person.reviewer_name, person.labels, person.skipped) for person in shown.reviewers] == [
        ("ann", 3, 1),
        ("bob", 4, 0),
    ]
    (pair,) = shown.pairs
    assert (pair.reviewer_names, pair.items, pair.agreed) == (("ann", "bob"), 3, 2)
    # observed 2/3; by chance (2·1 + 1·2)/9
    assert reviews.kappa() == shown.kappa == pair.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))


def test_agreement_is_that_of_the_newest_answers(
    reviews: Reviews, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MOST_COMPARED", 2)
    reviews.add([label_error(number, votes=2) for number in range(2)])
    for reviewer, answer in ((ANN, CAT), (BOB, CAT), (ANN, CAT), (BOB, DOG)):
        give(reviews, reviewer, answer)
        clock.tick(1)

    (pair,) = reviews.progress().pairs

    assert (pair.items, pair.agreed) == (1, 0)


def test_new_classes_are_those_of_the_newest_answers(
    reviews: Reviews, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "MOST_READ", 1)
    reviews.add([label_error(number) for number in range(3)])
    for label in ("axolotl", "bear"):
        give(reviews, ANN, ReviewAnswer(label=label))
        clock.tick(1)

    (item,) = reviews.batch(ANN).items

    assert item.classes == ("dog", "cat", "bear")


def test_the_classes_are_those_of_the_model_and_the_dataset_and_new_ones(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    publish_dataset(database, "pets")
    publish_model(database, "pet-cnn")
    reviews.add([label_error(number) for number in range(3)])
    reviews.add([sample(9, clock)])
    assert {item.classes for item in reviews.batch(CID, 9).items} == {("cat", "dog")}
    clock.tick(LEASE_S)

    give(reviews, ANN, ReviewAnswer(label="axolotl"))

    (item,) = reviews.batch(BOB, where=ReviewFilter(dataset="pets")).items
    assert item.classes == ("cat", "dog", "axolotl")
    (item,) = reviews.batch(BOB, where=ReviewFilter(model="pet-cnn")).items
    assert item.classes == ("cat", "dog")


def test_another_project_has_a_queue_of_its_own(reviews: Reviews, database: Database) -> None:
    lab = Reviews(database, "lab")
    reviews.add([label_error(1)])
    assert lab.add([label_error(1)]) == 1
    (item,) = reviews.batch(ANN).items

    assert len(lab.batch(BOB, 9).items) == 1
    for action in (
        lambda: lab.answer(item.id, item.lease, ANN, CAT),
        lambda: lab.extend(item.id, item.lease, ANN),
        lambda: lab.view(item.id),
    ):
        with pytest.raises(NotFound):
            action()
    assert reviews.answer(item.id, item.lease, ANN, CAT).state == "done"
    with pytest.raises(NotFound):
        lab.undo(ANN)
    assert lab.answered() == ()
    assert lab.progress().counts == {"open": 1}


def test_simultaneous_requests_bring_an_image_of_an_archive_once(reviews: Reviews, clock: FakeClock) -> None:
    brought = sample(1, clock).model_copy(update={"source": "predictions", "prediction": None})

    assert [reviews.add([brought]) for _ in range(2)] == [1, 0]

    clock.tick(86400)
    assert reviews.progress().counts == {"open": 1}


@pytest.mark.parametrize("label", [".", "zebra\u200b", "a\u00adb", "x\ty", "x\0"])
def test_a_label_that_cannot_be_a_class_is_refused(label: str) -> None:
    for request in (
        lambda: FeedbackRequest(prediction="request-1", label=label),
        lambda: ReviewAnswerRequest(lease="a-lease", label=label, new=True),
    ):
        with pytest.raises(ValidationError, match="class name"):
            request()


def test_a_label_is_normalised() -> None:
    assert ReviewAnswerRequest(lease="a-lease", label=" Cafe\u0301 ").answer.label == "Caf\u00e9"
    require_spelling("Caf\u00e9", ("Cafe\u0301 ",))


def test_a_mistyped_label_is_refused_unless_it_is_said_to_be_new(reviews: Reviews) -> None:
    reviews.add([label_error(1)])
    (item,) = reviews.batch(ANN).items
    cats = ReviewAnswer(label="cats")

    with pytest.raises(Invalid, match="did you mean 'cat'"):
        reviews.answer(item.id, item.lease, ANN, cats)

    assert reviews.answer(item.id, item.lease, ANN, cats, new=True).label == "cats"
    assert reviews.answer(item.id, item.lease, ANN, cats).label == "cats"  # sent again


def test_a_view_is_in_the_audit_trail(database: Database, clock: FakeClock) -> None:
    reviews = Reviews(database, DEFAULT_PROJECT, Actor(ANN.id, ANN.name, "a-request", DEFAULT_PROJECT))
    reviews.add([sample(1, clock)])
    (item,) = reviews.batch(ANN).items

    _, file = reviews.view(item.id)

    assert file == sample(1, clock).file
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action, subject, detail FROM audit").all()
    assert [tuple(row) for row in rows] == [(ANN.id, "view", f"images/{item.sha256}", f"reviews/{item.id}")]
