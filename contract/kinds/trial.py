"""Trial: one training of a search or of a cross-validation, a child of the training that wants it."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contract.artifacts import ObjectRef
from contract.base import Positive, Whole
from contract.choices import Choice
from contract.division import Outcome
from contract.evaluation import TrainingImages
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.kinds.train import TrainSpec
from contract.search import Fold, Scalar, Scores, Search
from contract.training import Epoch, FeatureFile, Method


class TrialSpec(JobSpec):
    """Train once; `study` is the parent, which compares the trials of its `search`.

    The `parameters` that it has chosen are in `training` already. The training ends at `ends_at`, with its best epoch.
    With a `fold`, it does not see that part of the training images, on which it is measured at the end; otherwise, it
    is measured on the validation split.
    """

    training: TrainSpec
    study: str
    number: Whole
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    search: Search | None = None
    ends_at: datetime | None = None
    fold: Fold | None = None

    @property
    def subject(self) -> Subject:
        return self.training.subject


class TrialRequest(KindRequest):
    kind: Literal["trial"]
    spec: TrialSpec


class TrialOutcome(Outcome):
    """The result of a trial; `value` is that of the objective, None without images to measure it on.

    `pruned` means that it was ended early because others were better. `state` has the weights. `out_of_fold` has the
    logits of the images that a fold has left out; the dataset had `images` for training then. `validation` has those
    of the validation images, if the trial may become part of an ensemble.
    """

    value: float | None
    pruned: bool = False
    scores: Scores | None
    epochs: tuple[Epoch, ...] = ()
    best_epoch: Positive | None = None
    method: Method
    label: str
    decisions: tuple[Choice, ...] = ()
    device: str
    state: ObjectRef
    training_images: TrainingImages | None = None
    features: FeatureFile | None = None
    out_of_fold: ObjectRef | None = None
    validation: ObjectRef | None = Field(default=None, exclude_if=lambda validation: validation is None)
    images: Whole | None = None


register(Kind(name="trial", pool="trainer", request=TrialRequest, outcome=TrialOutcome, child=True))
