"""Items of a review queue for tests, and the people who answer them."""

from datetime import timedelta

from contract.artifacts import Bucket, ObjectRef
from contract.reviews import NewReview, ReviewAnswer, ReviewItem
from services.storage.people.reviews import Reviews
from services.storage.people.rows import Reviewer
from tests.support.clock import FakeClock

ANN, BOB, CID = Reviewer("0000000a", "ann"), Reviewer("0000000b", "bob"), Reviewer("0000000c", "cid")
CAT, DOG, NOT_ANY, SKIP = (
    ReviewAnswer(label="cat"),
    ReviewAnswer(label="dog"),
    ReviewAnswer(not_any=True),
    ReviewAnswer(skip=True),
)


def label_error(number: int, votes: int = 1, dataset: str = "pets@1", priority: float = 0.0) -> NewReview:
    return NewReview(
        source="label_errors",
        dataset=dataset,
        sha256=f"{number:064x}",
        label_now="cat",
        guess=(("dog", 0.75), ("cat", 0.25)),
        votes=votes,
        priority=priority,
    )


def sample(number: int, clock: FakeClock, votes: int = 1) -> NewReview:
    sha256 = f"{number:064x}"
    return NewReview(
        source="margin",
        model="pet-cnn",
        model_version=1,
        prediction=f"request-{number}",
        sha256=sha256,
        original_sha256=f"{number + 1000:064x}",
        file=ObjectRef(bucket=Bucket.UPLOADS, key=f"copy-{number}", size=1, sha256=sha256),
        guess=(("cat", 0.5), ("dog", 0.4)),
        votes=votes,
        expires_at=clock.now + timedelta(days=1),
    )


def give(reviews: Reviews, reviewer: Reviewer, answer: ReviewAnswer) -> ReviewItem:
    """Answer the next item."""
    (item,) = reviews.batch(reviewer).items
    return reviews.answer(item.id, item.lease, reviewer, answer)
