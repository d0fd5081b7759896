"""Feedback of applications: which of it answers images of the review queue."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import Invalid
from contract.reviews import FeedbackRequest
from services.storage.database import Database
from services.storage.people.feedback import Feedback
from services.storage.people.reviews import Reviews
from tests.integration.storage.people.items import ANN, CAT, CID, DOG, give, sample
from tests.support.clock import FakeClock


def test_feedback_answers_a_sample(reviews: Reviews, database: Database, clock: FakeClock) -> None:
    reviews.add([sample(1, clock), sample(2, clock, votes=2)])
    feedback = Feedback(database, DEFAULT_PROJECT)

    results = [
        feedback.give(FeedbackRequest(prediction=prediction, label="cat"), CID)
        for prediction in ("request-1", "request-2", "other")
    ]

    assert [result.review is None for result in results] == [False, False, True]
    assert [result.note.split(";")[0] for result in results] == [
        "the image is reviewed",
        "it counts as one answer",
        "the feedback is kept",
    ]
    (decided,) = reviews.answered()
    assert (decided.label, decided.id) == ("cat", results[0].review)
    # the client may correct itself, and a person is the second vote
    feedback.give(FeedbackRequest(prediction="request-1", label="dog"), CID)
    assert reviews.answered()[0].label == "dog"
    assert give(reviews, ANN, CAT).state == "done"


def test_feedback_that_is_faster_than_the_sample_answers_it(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    feedback = Feedback(database, DEFAULT_PROJECT)
    for number, label in ((1, "cat"), (2, "cats")):
        feedback.give(FeedbackRequest(prediction=f"request-{number}", label=label), CID)
    Reviews(database, "lab").add([sample(1, clock)])

    reviews.add([sample(number, clock) for number in range(4)])

    (answered,) = reviews.answered()
    assert (int(answered.sha256, 16), answered.label) == (1, "cat")
    assert reviews.progress().counts == {"open": 3, "done": 1}  # "cats" is mistyped
    assert Reviews(database, "lab").progress().counts == {"open": 1}


def test_feedback_about_an_earlier_request_with_the_same_id_is_not_an_answer(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    Feedback(database, DEFAULT_PROJECT).give(FeedbackRequest(prediction="request-1", label="cat"), CID)
    clock.tick(3600)

    reviews.add([sample(1, clock)])

    assert reviews.progress().counts == {"open": 1}


def test_feedback_leaves_images_that_were_drawn_at_random_to_people(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    feedback = Feedback(database, DEFAULT_PROJECT)
    feedback.give(FeedbackRequest(prediction="request-1", label="cat"), CID)
    reviews.add([sample(number, clock).model_copy(update={"source": "random"}) for number in (1, 2)])

    result = feedback.give(FeedbackRequest(prediction="request-2", label="cat"), CID)

    assert (reviews.progress().counts, result.review is None) == ({"open": 2}, False)
    assert "drawn at random" in result.note


def test_feedback_does_not_overrule_people_and_does_not_take_an_item_from_them(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    reviews.add([sample(1, clock), sample(2, clock, votes=2)])
    feedback = Feedback(database, DEFAULT_PROJECT)
    give(reviews, ANN, DOG)
    (held,) = reviews.batch(ANN).items

    first = feedback.give(FeedbackRequest(prediction="request-1", label="cat"), CID)
    feedback.give(FeedbackRequest(prediction="request-2", label="cat"), CID)

    assert "their answer stays" in first.note
    assert reviews.answered()[0].label == "dog"
    assert reviews.answer(held.id, held.lease, ANN, CAT).state == "done"
    with pytest.raises(Invalid, match="did you mean 'cat'"):
        feedback.give(FeedbackRequest(prediction="request-1", label="cats"), CID)
