"""Batch prediction: what a person may ask, and what it answers."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from contract.artifacts import ObjectRef
from contract.base import Frozen, Sha256, TopK, Whole
from contract.datasets import Split
from contract.errors import Invalid
from contract.images import ImageSpec
from contract.references import ReferenceText
from contract.training import Metrics
from contract.uploads import UploadSource

Format = Literal["jsonl", "csv", "parquet"]


class SplitInput(Frozen):
    """The pictures of one split of a data set; their labels are known, so the result has metrics."""

    dataset: ReferenceText
    split: Split = Split.TEST


def _which(value: object) -> str | None:
    given = value if isinstance(value, dict) else vars(value) if isinstance(value, Frozen) else {}
    return next((tag for tag in ("dataset", "upload") if tag in given), None)


PredictInput = Annotated[
    Annotated[SplitInput, Tag("dataset")] | Annotated[UploadSource, Tag("upload")],
    Discriminator(
        _which, custom_error_type="unknown_input", custom_error_message="must name a dataset (and split) or an upload"
    ),
]


def check_images(model: ImageSpec, dataset: ImageSpec) -> None:
    """Raise Invalid unless the pictures of a data set are what a model takes: they were normalised once and for all."""
    if model != dataset:
        raise Invalid(f"the model takes pictures as {model}, and the data set has them as {dataset}")


class PredictSpec(Frozen):
    """Classify every picture of a split or of an uploaded zip."""

    model: ReferenceText
    input: PredictInput
    top_k: TopK = 1
    format: Format = "jsonl"


class OutputInfo(Frozen):
    """The file of predictions: size in bytes."""

    size: Whole
    sha256: Sha256


class PredictResult(Frozen):
    """`failed` pictures have a row with an error; metrics are there where labels are known."""

    count: Whole
    failed: Whole
    output: OutputInfo
    metrics: Metrics | None = None


class PredictionOutput(Frozen):
    """What a finished batch prediction publishes."""

    artifact: ObjectRef
    count: Whole = Field(description="Rows, failed ones included.")
    failed: Whole
    metrics: Metrics | None
