"""Jobs: kinds, states and their transitions, specs and results."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from contract.base import Frozen, Name, Positive, Whole
from contract.batches import PredictSpec
from contract.datasets import Counts, DatasetManifest, Label, SplitSpec
from contract.images import ImageSpec
from contract.references import Reference, ReferenceText
from contract.training import Epoch, EvaluationMetrics, ModelManifest, OnnxInfo, TrainSpec
from contract.uploads import UploadSource
from contract.vetting import VetSpec


class JobKind(StrEnum):
    PREPROCESS = "preprocess"
    TRAIN = "train"
    PREDICT = "predict"
    VET = "vet"


POOLS: dict[JobKind, str] = {
    JobKind.PREPROCESS: "preprocess",
    JobKind.TRAIN: "trainer",
    JobKind.PREDICT: "inference",
    JobKind.VET: "inference",
}
"""The pool of workers, and so the queue, of each kind."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.RUNNING: frozenset(set(JobState)),  # to itself when another worker takes an expired lease
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}


LIVE = tuple(state for state in JobState if not state.terminal)


class PreprocessSpec(Frozen):
    """Turn an uploaded archive into the next version of a data set."""

    dataset: Name
    source: UploadSource
    image: ImageSpec = ImageSpec()
    split: SplitSpec = SplitSpec()


class JobOptions(Frozen):
    priority: Annotated[int, Field(strict=True, ge=-100, le=100)] = 0
    deadline_s: Annotated[float, Field(strict=True, gt=0, le=30 * 86400)] | None = Field(
        default=None, description="Seconds from now after which the job expires."
    )


class PreprocessRequest(JobOptions):
    kind: Literal[JobKind.PREPROCESS]
    spec: PreprocessSpec


class TrainRequest(JobOptions):
    kind: Literal[JobKind.TRAIN]
    spec: TrainSpec


class PredictRequest(JobOptions):
    kind: Literal[JobKind.PREDICT]
    spec: PredictSpec


class VetRequest(JobOptions):
    kind: Literal[JobKind.VET]
    spec: VetSpec


def _kind(request: Any) -> Any:
    return request.get("kind") if isinstance(request, dict) else getattr(request, "kind", None)


JobRequest = Annotated[
    Annotated[PreprocessRequest, Tag("preprocess")]
    | Annotated[TrainRequest, Tag("train")]
    | Annotated[PredictRequest, Tag("predict")]
    | Annotated[VetRequest, Tag("vet")],
    Discriminator(
        _kind, custom_error_type="unknown_kind", custom_error_message=f"kind must be one of {', '.join(JobKind)}"
    ),
]
JobSpec = PreprocessSpec | TrainSpec | PredictSpec | VetSpec

SPECS: dict[JobKind, type[PreprocessSpec] | type[TrainSpec] | type[PredictSpec] | type[VetSpec]] = {
    JobKind.PREPROCESS: PreprocessSpec,
    JobKind.TRAIN: TrainSpec,
    JobKind.PREDICT: PredictSpec,
    JobKind.VET: VetSpec,
}


class Progress(Frozen):
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    message: str = ""


class JobError(Frozen):
    code: str
    message: str


class PreprocessResult(Frozen):
    dataset: ReferenceText
    classes: tuple[Label, ...]
    counts: Counts
    rejected: Whole
    shape: tuple[int, int, int] = Field(description="(channels, height, width)")

    @classmethod
    def of(cls, reference: Reference, manifest: DatasetManifest) -> "PreprocessResult":
        return cls(
            dataset=str(reference),
            classes=manifest.classes,
            counts=manifest.counts,
            rejected=manifest.rejected,
            shape=manifest.image.shape,
        )


class TrainResult(Frozen):
    model: ReferenceText
    metrics: EvaluationMetrics
    epochs: tuple[Epoch, ...]
    best_epoch: Positive
    onnx: OnnxInfo

    @classmethod
    def of(cls, reference: Reference, manifest: ModelManifest) -> "TrainResult":
        if manifest.metrics is None or manifest.best_epoch is None:
            raise TypeError("a training job publishes what it has measured")
        return cls(
            model=str(reference),
            metrics=manifest.metrics,
            epochs=manifest.epochs,
            best_epoch=manifest.best_epoch,
            onnx=manifest.onnx,
        )


class Job(Frozen):
    """A job as anybody may see it."""

    id: str
    kind: JobKind
    state: JobState
    spec: dict[str, Any]
    progress: Progress
    priority: int
    attempt: Whole
    max_attempts: Positive
    result: dict[str, Any] | None
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None

    def parsed_spec(self) -> JobSpec:
        return SPECS[self.kind].model_validate(self.spec)
