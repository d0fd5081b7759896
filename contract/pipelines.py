"""Pipelines: automatic retraining, whose candidate is promoted only if it is shown to be better."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from contract.base import Frozen, Name, Positive, Whole, first_fault
from contract.datasets import Label
from contract.evaluation import Share
from contract.kinds.train import TrainSpec
from contract.references import ReferenceText

Margin = Annotated[float, Field(strict=True, ge=0, lt=1)]
PipelineName = Annotated[Name, Field(max_length=50)]  # the audit trail has it with a prefix
Trigger = Literal["cron", "labels", "drift", "person"]
Step = Literal["start", "revise", "train", "evaluate", "shadow"]


class Gate(Frozen):
    """What a candidate must show on the same images as the champion, the version in use, before it is promoted.

    With `confidence`, one-sided, its accuracy must be better by `better_by`. No class may fall by more than
    `no_class_falls_by` of its images, unless chance alone would explain the fall.
    """

    better_by: Margin = 0.005
    no_class_falls_by: Margin = 0.05
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1)] = 0.95


class ClassChange(Frozen):
    """A class's accuracy with the candidate and with the champion, on the same images.

    `better` images are right with the candidate only, `worse` with the champion only. `chance` is that of a fall at
    least as large between two equally good models.
    """

    label: Label
    images: Whole
    accuracy: Share
    champion_accuracy: Share
    better: Whole
    worse: Whole
    chance: Share


class GateDecision(Frozen):
    """Whether a candidate has passed the gate, why in a sentence, and the numbers behind it.

    `better` images are right with the candidate only, `worse` with the champion only. The candidate is better by
    `at_least`, with the gate's confidence; `chance` is that of a model that is not better by the gate's margin to look
    as good. `classes` are those that change most, falls first. `notes` say what did not decide.
    """

    passed: bool
    reason: str
    notes: tuple[str, ...] = ()
    images: Whole
    accuracy: Share
    champion_accuracy: Share
    better: Whole
    worse: Whole
    at_least: float
    chance: Share
    classes: tuple[ClassChange, ...] = ()


class When(Frozen):
    """What starts runs; any of these does. Without any, only people start them."""

    cron: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Minute, hour, day, month and weekday in UTC, as in `0 3 * * *`."
    )
    labels: Positive | None = Field(default=None, description="So many images were reviewed since the last run.")
    drift: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="The traffic of the alias drifts; at most one run a day."
    )


class PipelineRequest(Frozen):
    """A pipeline to create: it makes better versions of a model out of what people review.

    A run makes the next version of `dataset` from the reviewed images, trains a candidate on it, and compares that with
    the version that `alias` points at, on the test images, which stay the same. `train` has the fields of a training
    job; without a start of its own, it continues from the champion. With `shadow_hours`, the candidate is the alias's
    shadow for so long before it is promoted. Without `promote`, a candidate that passes the gate waits for a person.
    """

    name: PipelineName
    model: Name
    alias: Name = "production"
    dataset: Name
    when: When = When()
    train: dict[str, Any] = Field(
        default_factory=dict, description="Fields of a training job's spec, without `dataset` and `model`."
    )
    gate: Gate = Gate()
    promote: Annotated[bool, Field(strict=True)] = True
    shadow_hours: Annotated[float, Field(strict=True, gt=0, le=30 * 24)] | None = None

    @model_validator(mode="after")
    def _can_train(self) -> Self:
        for name in ("dataset", "model"):
            if name in self.train:
                raise ValueError(f"train.{name} is that of the pipeline; leave it out")
        if self.shadow_hours is not None and not self.promote:
            raise ValueError("shadow_hours is for candidates that are promoted; leave it out, or set promote to true")
        try:
            self.training(self.dataset)
        except ValidationError as error:
            place, reason = first_fault(error)
            raise ValueError(f"{'.'.join(map(str, ('train', *place)))}: {reason}") from None
        return self

    def training(self, dataset: str, **more: str) -> TrainSpec:
        """Return the training on a version of the dataset, with more fields; raises ValidationError."""
        return TrainSpec.model_validate({**self.train, "dataset": dataset, "model": self.model, **more})


class PipelineChange(Frozen):
    """A paused pipeline starts no runs by itself; one that has begun goes on."""

    paused: Annotated[bool, Field(strict=True)]


class RunState(StrEnum):
    RUNNING = "running"
    PROMOTED = "promoted"  # the alias points at the candidate
    PASSED = "passed"  # the gate, and waits for a person to promote it
    REJECTED = "rejected"  # by the gate
    UNCHANGED = "unchanged"  # there was nothing to learn from
    SUPERSEDED = "superseded"  # a person changed the alias meanwhile
    FAILED = "failed"


class PipelineRun(Frozen):
    """A run of a pipeline; `reason` says in a sentence how it ended, or what it does or waits for.

    `champion` is the version that it compares with, `dataset` the version that it trains on, `candidate` the model
    version that it has trained. `labels` images had been reviewed when it started. Jobs may have been deleted since.
    """

    id: str
    pipeline: PipelineName
    state: RunState
    step: Step
    trigger: Trigger
    reason: str
    notes: tuple[str, ...] = ()
    labels: Whole = 0
    champion: ReferenceText | None = None
    dataset: ReferenceText | None = None
    candidate: ReferenceText | None = None
    revise_job: str | None = None
    train_job: str | None = None
    evaluate_job: str | None = None
    gate: GateDecision | None = None
    shadow_until: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None


class Pipeline(PipelineRequest):
    """A pipeline and its newest run; `next_run_at` is None without a cron expression, and while it is paused."""

    paused: bool
    next_run_at: datetime | None = None
    schedule: str | None = Field(default=None, description="The cron expression in words: `At 03:00 every day`.")
    last_run: PipelineRun | None = None
    created_at: datetime

    @property
    def starts(self) -> str:
        """What starts its runs, in words: `at 03:00 every day (UTC), or after 200 reviewed images`."""
        ways = []
        if self.schedule:
            ways.append(f"{self.schedule[0].lower()}{self.schedule[1:]} (UTC)")
        if self.when.labels:
            ways.append(f"after {self.when.labels:,} reviewed image{'s' if self.when.labels > 1 else ''}")
        if self.when.drift:
            ways.append("when its requests drift")
        return ", or ".join(ways) or "when a person starts one"
