"""The review queue: images whose label people confirm or correct, their answers, and how far they are."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Name, Sha256, Version, Whole
from contract.datasets import Label, Split
from contract.references import ReferenceText

ReviewSource = Literal["margin", "random", "disagreement", "feedback", "label_errors", "predictions", "duplicates"]
ReviewState = Literal["open", "done", "skipped", "expired"]

Votes = Annotated[int, Field(strict=True, ge=1, le=2)]
Guess = tuple[Label, float]  # a class and its score, 0..1
MOST_GUESSES = 5


class ReviewAnswer(Frozen):
    """What a person says about an image: its class, that it shows none of the classes, or nothing."""

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

    `sha256` is of the original bytes; of a sample it is of the stored copy, and `original_sha256` is of the bytes that
    the client sent, so that an erasure by either hash removes the sample. `guess` has the best classes first, at most
    five. Items with the highest `priority` are handed out first. `votes` people must agree. An item that nobody has
    answered at `expires_at` is removed.
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

    `label_now` is its label in the dataset version. `label`, or `not_any`, is what was decided, when `state` is `done`.
    `answers` are those of all people who have answered, without those that were undone. `lease` is only shown to the
    person who holds the item.
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


class LeasedReview(ReviewItem):
    """An image that one person holds until `leased_until`; send `lease` with the answer."""

    lease: str
    leased_until: datetime
    classes: tuple[Label, ...] = Field(default=(), description="Of the model or the dataset; a new one may be given.")


class AnsweredReview(Frozen):
    """An item that was decided: its label, or `not_any`.

    A sample has its copy in `file`; an image of a dataset has `dataset`, `split` and `label_now`.
    """

    id: str
    source: ReviewSource
    model: Name | None = None
    model_version: Version | None = None
    dataset: ReferenceText | None = None
    sha256: Sha256
    file: ObjectRef | None = None
    split: Split | None = None
    label_now: Label | None = None
    guess: tuple[Guess, ...] = ()
    label: Label | None = None
    not_any: bool = False
    decided_at: datetime
    created_at: datetime
    applied_to: ReferenceText | None = None


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

    `kappa` is Cohen's: 1 is full agreement, 0 what chance would give; None if chance alone would agree always.
    """

    reviewers: tuple[str, str]
    reviewer_names: tuple[str, str]
    items: Whole
    agreed: Whole
    kappa: float | None


class ReviewProgress(Frozen):
    """The queue in numbers.

    `leased` of the open items are held by people now. `disagreements` are open because people gave different answers,
    and wait for another person. `not_applied` were decided and are in no dataset version yet. `kappa` is the mean of
    the pairs' kappas, weighted by their items; None without any.
    """

    counts: dict[ReviewState, Whole]
    by_source: dict[ReviewSource, dict[ReviewState, Whole]]
    leased: Whole
    disagreements: Whole
    not_applied: Whole
    reviewers: tuple[ReviewerProgress, ...]
    pairs: tuple[PairAgreement, ...]
    kappa: float | None
