"""The review queue: images whose label people confirm or correct, their answers, and the progress."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Name, Sha256, Version, Whole
from contract.datasets import Label, Split
from contract.labels import checked_label
from contract.references import ReferenceText

ReviewSource = Literal["margin", "random", "disagreement", "label_errors", "predictions", "duplicates"]
ReviewState = Literal["open", "done", "skipped", "expired"]

Votes = Annotated[int, Field(strict=True, ge=1, le=2)]
Guess = tuple[Label, float]  # a class and its score, 0..1
Lease = Annotated[str, Field(min_length=1, max_length=64)]
GivenLabel = Annotated[Label, AfterValidator(checked_label)]
MOST_GUESSES = 5
MOST_BROUGHT = 5000  # images that one request adds


class ReviewAnswer(Frozen):
    """What a person says about an image: its class, that it shows none of the classes, or that they cannot tell."""

    label: Label | None = Field(default=None, description="A class, also a new one.")
    not_any: bool = Field(default=False, description="The image shows none of the classes and is to be removed.")
    skip: bool = Field(default=False, description="The person cannot tell.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.label is not None) + self.not_any + self.skip != 1:
            raise ValueError('give exactly one of "label", "not_any": true and "skip": true')
        return self


class NewReview(Frozen):
    """An image for the queue: one of a dataset version (`dataset`, `split`, `label_now`), or a stored copy (`file`).

    `sha256` is the hash of the original bytes. For a sample it is the hash of the stored copy, and `original_sha256`
    that of the bytes which the client sent; an erasure by either hash removes the sample. `guess` has at most five
    classes, best first. Reviewers get the items with the highest `priority` first. An item is decided when `votes`
    people agree, and is removed at `expires_at` if it has no answer.
    """

    source: ReviewSource
    sha256: Sha256
    original_sha256: Sha256 | None = None
    model: Name | None = None
    alias: Name | None = None
    model_version: Version | None = None
    prediction: str | None = None
    dataset: ReferenceText | None = None
    file: ObjectRef | None = None
    split: Split | None = None
    label_now: Label | None = None
    guess: tuple[Guess, ...] = Field(default=(), max_length=MOST_GUESSES)
    margin: float | None = None
    entropy: float | None = None
    priority: float = 0.0
    votes: Votes = 1
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _has_an_image(self) -> Self:
        if (self.file is None) is (self.dataset is None):
            raise ValueError("an item has either a file or a dataset")
        return self


class PersonAnswer(ReviewAnswer):
    """The answer of one person; `reviewer` is the id of the API key."""

    reviewer: str
    reviewer_name: str
    at: datetime


class ReviewItem(Frozen):
    """An image in the queue.

    `label_now` is its label in the dataset version. When `state` is `done`, `label` or `not_any` is the decision.
    `answers` has each person's answer, without those that were undone. `lease` is only shown to the person who holds
    the item.
    """

    id: str
    source: ReviewSource
    state: ReviewState
    model: Name | None = None
    alias: Name | None = None
    model_version: Version | None = None
    prediction: str | None = None
    dataset: ReferenceText | None = None
    sha256: Sha256
    split: Split | None = None
    label_now: Label | None = None
    guess: tuple[Guess, ...] = ()
    margin: float | None = None
    entropy: float | None = None
    priority: float
    votes: Votes
    label: Label | None = None
    not_any: bool = False
    decided_at: datetime | None = None
    applied_to: ReferenceText | None = Field(default=None, description="The dataset version that has the answer.")
    created_at: datetime
    expires_at: datetime | None = None
    answers: tuple[PersonAnswer, ...] = ()
    lease: str | None = None
    leased_until: datetime | None = None
    classes: tuple[Label, ...] = Field(
        default=(),
        description="With a lease: the classes of the model or the dataset. An answer may also be a new one.",
    )


class ReviewPage(Frozen):
    items: tuple[ReviewItem, ...]
    next: str | None


class LeasedReview(ReviewItem):
    """An image that one person holds until `leased_until`; send `lease` with the answer."""

    lease: str
    leased_until: datetime


class ReviewBatch(Frozen):
    """Leased items, those with the highest priority first; `reason` says why there are none."""

    items: tuple[LeasedReview, ...]
    reason: str | None = None


class ReviewAnswerRequest(ReviewAnswer):
    """An answer with the lease of its item; a class that resembles a known one must be confirmed as `new`."""

    lease: Lease
    label: GivenLabel | None = Field(default=None, description="A class, also a new one.")
    new: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="The label is a new class, although it resembles a known one."
    )

    @property
    def answer(self) -> ReviewAnswer:
        return ReviewAnswer(label=self.label, not_any=self.not_any, skip=self.skip)


class LeaseRequest(Frozen):
    lease: Lease
    seconds: Annotated[int, Field(strict=True, ge=0, le=600)] = Field(
        default=120, description="How long to hold the image from now on; 0 gives it back."
    )


class _SourceRequest(Frozen):
    limit: Annotated[int, Field(strict=True, ge=1, le=MOST_BROUGHT)] = Field(
        default=200, description="The most images to add, the most doubtful first."
    )
    votes: Votes = Field(default=1, description="How many people must agree.")


class LabelErrorsRequest(_SourceRequest):
    """Images whose label is probably wrong, found by an evaluation, or by the newest training on a dataset."""

    source: Literal["label_errors"]
    evaluation: str | None = Field(default=None, max_length=64, description="The id of an evaluation's job.")
    dataset: ReferenceText | None = Field(default=None, description="A dataset that a model was trained on.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.evaluation is None) is (self.dataset is None):
            raise ValueError("give either `evaluation` or `dataset`")
        return self


class PredictionsRequest(_SourceRequest):
    """Images of a batch prediction whose best class has a score below `below`."""

    source: Literal["predictions"]
    job: str = Field(max_length=64, description="The id of a batch prediction's job.")
    below: Annotated[float, Field(gt=0, le=1)] = 0.6
    keep_days: Annotated[int, Field(strict=True, ge=1, le=3650)] = Field(
        default=30, description="After how many days unanswered copies of images of an uploaded archive are deleted."
    )


class DuplicatesRequest(_SourceRequest):
    """Images that a dataset has more than once, with different labels."""

    source: Literal["duplicates"]
    dataset: ReferenceText


ReviewSourceRequest = Annotated[
    LabelErrorsRequest | PredictionsRequest | DuplicatesRequest, Field(discriminator="source")
]


class SourceResult(Frozen):
    """How many images a source has, and how many of them are new in the queue; `dataset` is the version they are in."""

    matching: Whole
    added: Whole
    dataset: ReferenceText | None = None


class FeedbackRequest(Frozen):
    """The true class of an image that was predicted; `prediction` is the id in the response."""

    prediction: Annotated[str, Field(min_length=1, max_length=80)]
    label: GivenLabel
    new: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="The label is a new class, although it resembles a known one."
    )


class FeedbackResult(Frozen):
    """The feedback that was kept.

    `review` is the item that it answers, if the image was sampled for review; `note` says in words what it does.
    """

    prediction: str
    label: Label
    review: str | None
    note: str


class AnsweredReview(Frozen):
    """An item that was decided: its label, or `not_any`.

    For a sample, `file` is the stored copy, and `original_sha256` the hash of what the client sent. An image of a
    dataset has `dataset`.
    """

    id: str
    dataset: ReferenceText | None = None
    sha256: Sha256
    original_sha256: Sha256 | None = None
    file: ObjectRef | None = None
    label: Label | None = None
    not_any: bool = False
    decided_at: datetime


class ReviewerProgress(Frozen):
    """What one person has answered; `reviewer` is the id of the API key."""

    reviewer: str
    reviewer_name: str
    labels: Whole
    not_any: Whole
    skipped: Whole
    last_at: datetime


class PairAgreement(Frozen):
    """How often two people gave the same answer to the same images.

    `kappa` is Cohen's: 1 is full agreement, 0 what chance would give; None if chance alone would always agree.
    """

    reviewers: tuple[str, str]
    reviewer_names: tuple[str, str]
    items: Whole
    agreed: Whole
    kappa: float | None


class ReviewProgress(Frozen):
    """The queue in numbers.

    `leased` is how many of the open items people hold now. `disagreements` counts open items that have different
    answers and wait for another person, `not_applied` decided items that are in no dataset version yet. `reviewers`
    are the most active people, `pairs` are of the images of the newest 20,000 answers, and `kappa` is the mean of
    their kappas, weighted by their items; None if there are no pairs.
    """

    counts: dict[ReviewState, Whole]
    by_source: dict[ReviewSource, dict[ReviewState, Whole]]
    leased: Whole
    disagreements: Whole
    not_applied: Whole
    reviewers: tuple[ReviewerProgress, ...]
    pairs: tuple[PairAgreement, ...]
    kappa: float | None
