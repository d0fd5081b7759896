"""Pipelines: automatic retraining, whose candidate is promoted only if it is shown to be better."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from contract.base import Frozen, Name, Whole, first_fault
from contract.datasets import Label
from contract.evaluation import Share
from contract.kinds.train import TrainSpec
from contract.references import ReferenceText


def _require_share(hint: str) -> BeforeValidator:
    """Reject numbers from 1 on, which are meant as percentages, with a hint how to write them."""

    def check(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
            raise ValueError(f"must be less than 1: {hint}")
        return value

    return BeforeValidator(check)


Margin = Annotated[float, Field(strict=True, ge=0, lt=1), _require_share("write 0.05 for 5 percentage points")]
PIPELINE_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,49}$"  # shorter than other names: the audit trail has it with a prefix
PipelineName = Annotated[
    str,
    StringConstraints(pattern=PIPELINE_NAME_PATTERN),
    Field(description="Lower-case letters, digits, '.', '_' and '-'; 1 to 50 characters."),
]
MOST_LABELS = 1_000_000
Trigger = Literal["cron", "labels", "drift", "person"]
Step = Literal["start", "revise", "train", "evaluate", "shadow"]


class Gate(Frozen):
    """When a candidate passes: it is compared with the champion, the version in use, on the same images.

    Its accuracy must be better by `better_by`, with the one-sided `confidence`. No class may fall by more than
    `no_class_falls_by` of its images, unless the fall can be explained by chance.
    """

    better_by: Margin = 0.005
    no_class_falls_by: Margin = 0.05
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1), _require_share("write 0.95 for 95 %")] = 0.95


class ClassChange(Frozen):
    """A class's accuracy with the candidate and with the champion, on the same images.

    `better` images are right with the candidate only, `worse` with the champion only. `chance` is the probability of a
    fall at least as large between two equally good models.
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

    `better` images are right with the candidate only, `worse` with the champion only. With the gate's confidence, the
    candidate is better by `at_least`. `chance` is the probability that a model which is not better by the gate's margin
    looks as good as this one. `classes` has those that change most, falls first. `notes` did not affect the decision.
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
    """What starts runs: each of these fields. Without any, runs are started by people only."""

    cron: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Minute, hour, day, month and weekday in UTC, as in `0 3 * * *`."
    )
    labels: Annotated[int, Field(strict=True, ge=1, le=MOST_LABELS)] | None = Field(
        default=None, description="Start a run after this many reviewed images."
    )
    drift: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Start a run when the requests of the alias drift, at most once a day."
    )


class PipelineRequest(Frozen):
    """A pipeline to create. It retrains a model with what people have reviewed.

    A run makes the next version of `dataset` from the reviewed images, trains a candidate on it, and compares the
    candidate with the champion, the version that `alias` points at, on the test images, which stay the same. `train`
    has fields of a training job; unless they name another start, the training continues from the champion. If
    `shadow_hours` is set, the candidate is the alias's shadow for that time before it is promoted. If `promote` is
    false, a candidate that passes the gate waits for a person.
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
            place, reason = first_fault(error, TrainSpec.model_fields)
            raise ValueError(f"{'.'.join(map(str, ('train', *place)))}: {reason}") from None
        return self

    def training(self, dataset: str, **more: str) -> TrainSpec:
        """Return the training on a version of the dataset, with more fields; raises ValidationError."""
        return TrainSpec.model_validate({**self.train, "dataset": dataset, "model": self.model, **more})

    @property
    def continues(self) -> bool:
        """Whether trainings continue from the champion: `train` names no other start."""
        train = self.training(self.dataset)
        return train.init_from is None and train.architecture is None and train.method != "scratch"


class PipelineChange(Frozen):
    """A paused pipeline starts no runs by itself; a run that has begun goes on."""

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
    """A run of a pipeline; `reason` says in a sentence how it ended, or what it is doing or waiting for.

    `candidate` is the model version that it has trained on `dataset`, and `champion` the version that it compares with.
    `labels` is how many images had been reviewed when it started. The jobs may have been deleted since.
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
    """A pipeline and its newest run; `next_run_at` is None without a cron expression, and while it is paused.

    `warning` says why no candidate can pass the gate now, such as too few test images. Lists of pipelines do not have
    it.
    """

    paused: bool
    next_run_at: datetime | None = None
    schedule: str | None = Field(default=None, description="The cron expression in words: `At 03:00 every day`.")
    last_run: PipelineRun | None = None
    warning: str | None = None
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
