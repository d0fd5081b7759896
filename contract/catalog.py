"""Datasets, models and uploads as the REST API shows them."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Name, Positive, Sha256, Version, Whole
from contract.choices import Choice
from contract.datasets import Counts, DatasetWarning, Label, Rejected, Revision, Split, Thumbnail
from contract.evaluation import EvaluationMetrics, TrainingImages
from contract.images import ImageSpec, Preprocessing
from contract.lineage import Lineage
from contract.models import ModelWarning, Output
from contract.references import ReferenceText
from contract.sampling import ReviewSampling
from contract.training import OnnxInfo, TensorSignature
from contract.variants import Variant, VariantName

Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
# The keys of a JSON object are strings, so the key type is not strict.
Weights = dict[Annotated[int, Field(ge=1, le=2**31 - 1)], Percent]


class Dataset(Frozen):
    """A dataset and its versions, newest first."""

    name: Name
    versions: tuple[Version, ...]
    created_at: datetime


class DatasetVersion(Frozen):
    """One version: `shape` is (channels, height, width); mean and std are per channel, of pixels scaled to 0..1."""

    name: Name
    version: Version
    job: str
    created_at: datetime
    classes: tuple[Label, ...]
    image: ImageSpec
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: Counts
    counts_by_class: dict[Split, dict[Label, Whole]]
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    thumbnails: tuple[Thumbnail, ...]
    warnings: tuple[DatasetWarning, ...] = ()
    decisions: tuple[Choice, ...] = ()
    data_sha256: Sha256 | None = None
    erased: Whole = Field(default=0, description="Images that were erased since the version was prepared.")
    revision: Revision | None = Field(default=None, description="How it was made from another version, if it was.")


class Traffic(Frozen):
    """Percentages of the requests by version; `shadow` also runs each request, and its answer is discarded."""

    versions: Weights = Field(min_length=1, description="Percentages by version, which add up to 100.")
    shadow: Version | None = Field(default=None, description="A version that gets a copy of each request.")

    @model_validator(mode="after")
    def _weights_add_up(self) -> Self:
        if sum(self.versions.values()) != 100:
            raise ValueError("the percentages must add up to 100")
        return self

    @property
    def main(self) -> int:
        """The version with the largest share; of several, the newest."""
        return max(self.versions, key=lambda version: (self.versions[version], version))


class Alias(Frozen):
    """`versions` are percentages of the requests and `version` gets the most; `shadow` gets a copy of each request.

    `review` says which of its predictions go to the review queue; null if none do.
    """

    alias: Name
    version: Version
    versions: Weights
    shadow: Version | None
    updated_at: datetime
    review: ReviewSampling | None = None


class Model(Frozen):
    """A model with its aliases and versions, newest first; `rejected` versions cannot serve."""

    name: Name
    versions: tuple[Version, ...]
    rejected: tuple[Version, ...]
    aliases: tuple[Alias, ...]
    created_at: datetime


VersionStatus = Literal["ready", "rejected", "quarantined"]


class ModelVersion(Frozen):
    """One version with its lineage (job, dataset); `provider` is the execution provider that last loaded it.

    `serving` is the variant that answers: the `pinned` one, or else the one that its training chose.

    A model that was uploaded has no dataset and no metrics; a rejected one has little more than a reason.
    One that is quarantined does not serve, because its runs took too long.
    """

    name: Name
    version: Version
    status: VersionStatus = "ready"
    reason: str | None = Field(default=None, description="Why it was rejected or quarantined.")
    job: str
    dataset: ReferenceText | None = None
    created_at: datetime
    labels: tuple[Label, ...] = ()
    aliases: tuple[Name, ...] = Field(
        default=(), description="Aliases that send this version requests or copies of them."
    )
    preprocessing: Preprocessing | None = None
    inputs: tuple[TensorSignature, ...] = ()
    outputs: tuple[TensorSignature, ...] = ()
    batched: bool = False
    metrics: EvaluationMetrics | None = None
    best_epoch: Positive | None = None
    parameters: Whole | None = None
    trained_on: str | None = None
    provider: str | None = None
    onnx: OnnxInfo | None = None
    decisions: tuple[Choice, ...] = ()
    lineage: Lineage | None = None
    variants: tuple[Variant, ...] = ()
    serving: VariantName = "fp32"
    pinned: VariantName | None = None
    unknown_below: float | None = None
    training_images: TrainingImages | None = None
    output: Output = Field(
        default="logits",
        description="Of an image classifier: scores are the softmax of `logits`, or the `probabilities` as they are.",
    )
    max_batch: Positive | None = Field(
        default=None, description="The largest batch of images that the graph takes, if it limits it."
    )
    warnings: tuple[ModelWarning, ...] = ()
    trained_on_erased: Whole = Field(
        default=0,
        description="Images that the weights were trained with and that were erased since; train again to be without.",
    )


class Upload(Frozen):
    """An uploaded file, complete or not."""

    id: str
    filename: str
    size: Whole
    sha256: str | None
    complete: bool
    created_at: datetime
