"""The review queue."""

from contract.artifacts import Bucket, ObjectRef
from contract.base import Frozen
from contract.datasets import Split
from contract.reviews import (
    AnsweredReview,
    DuplicatesRequest,
    FeedbackRequest,
    FeedbackResult,
    LabelErrorsRequest,
    LeasedReview,
    LeaseRequest,
    NewReview,
    PairAgreement,
    PersonAnswer,
    PredictionsRequest,
    ReviewAnswer,
    ReviewAnswerRequest,
    ReviewBatch,
    ReviewerProgress,
    ReviewItem,
    ReviewPage,
    ReviewProgress,
    SourceResult,
)
from tests.examples.base import WHEN

SAMPLE = NewReview(
    source="margin",
    sha256="d" * 64,
    original_sha256="e" * 64,
    model="pet-cnn",
    alias="production",
    model_version=1,
    prediction="0123456789abcdef",
    file=ObjectRef(bucket=Bucket.UPLOADS, key="01a227d9", size=5, sha256="d" * 64),
    guess=(("cat", 0.5), ("dog", 0.375)),
    margin=0.125,
    entropy=0.75,
    priority=0.875,
    votes=2,
    expires_at=WHEN,
)
LABEL_REVIEW = NewReview(
    source="label_errors",
    sha256="f" * 64,
    model="pet-cnn",
    model_version=1,
    dataset="pets@1",
    split=Split.TRAIN,
    label_now="cat",
    guess=(("dog", 0.75), ("cat", 0.25)),
    margin=-0.5,
    priority=0.5,
)
PERSON_ANSWER = PersonAnswer(label="dog", reviewer="0123abcd", reviewer_name="ann", at=WHEN)
REVIEW_ITEM = ReviewItem(
    id="01a227d9-6b38-7224-b718-edaa758450ee",
    state="done",
    **LABEL_REVIEW.model_dump(exclude={"file", "original_sha256"}),
    label="dog",
    decided_at=WHEN,
    applied_to="pets@2",
    created_at=WHEN,
    answers=(PERSON_ANSWER,),
)
LEASED_REVIEW = LeasedReview(
    id="01a227d9-6b38-7224-b718-edab98aafdd1",
    state="open",
    **SAMPLE.model_dump(exclude={"file", "original_sha256"}),
    created_at=WHEN,
    lease="01a227d9-6b6a-770a-8dc0-372372337389",
    leased_until=WHEN,
    classes=("cat", "dog"),
)
REVIEWER_PROGRESS = ReviewerProgress(
    reviewer="0123abcd", reviewer_name="ann", labels=8, not_any=1, skipped=1, last_at=WHEN
)
PAIR_AGREEMENT = PairAgreement(
    reviewers=("0123abcd", "4567cdef"), reviewer_names=("ann", "bob"), items=10, agreed=9, kappa=0.75
)

EXAMPLES: tuple[Frozen, ...] = (
    SAMPLE,
    ReviewAnswer(label="dog"),
    PERSON_ANSWER,
    REVIEW_ITEM,
    LEASED_REVIEW,
    ReviewPage(items=(REVIEW_ITEM,), next="01a227d9"),
    ReviewBatch(items=(LEASED_REVIEW,)),
    ReviewAnswerRequest(lease=LEASED_REVIEW.lease, label="dog"),
    LeaseRequest(lease=LEASED_REVIEW.lease),
    LabelErrorsRequest(source="label_errors", evaluation="01a227d9", limit=100, votes=2),
    PredictionsRequest(source="predictions", job="01a227d9", below=0.5),
    DuplicatesRequest(source="duplicates", dataset="pets"),
    SourceResult(matching=12, added=10, dataset="pets@1"),
    FeedbackRequest(prediction="0123456789abcdef", label="cat"),
    FeedbackResult(prediction="0123456789abcdef", label="cat", review=None, note="the feedback is kept"),
    AnsweredReview(
        id=REVIEW_ITEM.id,
        dataset=LABEL_REVIEW.dataset,
        sha256=LABEL_REVIEW.sha256,
        label="dog",
        decided_at=WHEN,
    ),
    REVIEWER_PROGRESS,
    PAIR_AGREEMENT,
    ReviewProgress(
        counts={"open": 3, "done": 9},
        by_source={"margin": {"open": 3, "done": 9}},
        leased=1,
        disagreements=1,
        not_applied=9,
        reviewers=(REVIEWER_PROGRESS,),
        pairs=(PAIR_AGREEMENT,),
        kappa=0.75,
    ),
)
