"""Predict: classify the images of a split or of an uploaded archive into a file."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from contract.artifacts import ObjectRef
from contract.base import Frozen, Sha256, TopK, Whole
from contract.datasets import Split
from contract.division import Outcome
from contract.errors import Invalid
from contract.evaluation import Metrics
from contract.images import ImageSpec
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.kinds.registry import register
from contract.references import DatasetReference, ModelReference, Reference, UploadSource
from contract.variants import VariantName

Format = Literal["jsonl", "csv", "parquet"]


class SplitInput(Frozen):
    """The images of one split of a dataset; their labels are known, so the result has metrics."""

    dataset: DatasetReference
    split: Split = Split.TEST


def _input_tag(value: object) -> str | None:
    fields = value if isinstance(value, dict) else vars(value) if isinstance(value, Frozen) else {}
    return next((tag for tag in ("dataset", "upload") if tag in fields), None)


PredictInput = Annotated[
    Annotated[SplitInput, Tag("dataset")] | Annotated[UploadSource, Tag("upload")],
    Discriminator(
        _input_tag,
        custom_error_type="unknown_input",
        custom_error_message="must name a dataset (and split) or an upload",
    ),
]


def check_images(model: ImageSpec, dataset: ImageSpec) -> None:
    """Raise Invalid unless a dataset's images, normalized when it was prepared, have the model's image spec."""
    if model != dataset:
        raise Invalid(f"the model takes images as {model}, but the dataset has them as {dataset}")


class PredictSpec(JobSpec):
    """Classify every image of a split or of an uploaded zip."""

    model: ModelReference
    input: PredictInput
    top_k: TopK = 1
    format: Format = "jsonl"

    @property
    def subject(self) -> Subject:
        dataset = Reference.parse(self.input.dataset).name if isinstance(self.input, SplitInput) else None
        return Subject(dataset, Reference.parse(self.model).name)

    def check(self, manifests: Manifests) -> None:
        image = manifests.models[self.model].card.preprocessing.image
        if not isinstance(self.input, SplitInput):
            return
        dataset = manifests.datasets[self.input.dataset]
        check_images(image, dataset.image)
        if not dataset.shards.get(self.input.split):
            raise Invalid(f"the dataset {self.input.dataset} has no {self.input.split} split")


class PredictRequest(KindRequest):
    kind: Literal["predict"]
    spec: PredictSpec


class OutputInfo(Frozen):
    """The file of predictions: size in bytes."""

    size: Whole
    sha256: Sha256


class PredictResult(Frozen):
    """`failed` images have a row with an error; there are metrics if the labels are known.

    `model_variant` is the file of the version that answered; None in results of older releases.
    """

    count: Whole
    failed: Whole
    output: OutputInfo
    metrics: Metrics | None = None
    model_variant: VariantName | None = None


class PredictionOutput(Outcome):
    """The outcome of a batch prediction."""

    artifact: ObjectRef
    count: Whole = Field(description="Rows, including failed images.")
    failed: Whole
    metrics: Metrics | None
    model_variant: VariantName | None = None


register(
    Kind(
        name="predict",
        pool="inference",
        request=PredictRequest,
        outcome=PredictionOutput,
        examples={
            "predict": {
                "summary": "Classify every image of a split",
                "value": {
                    "kind": "predict",
                    "spec": {
                        "model": "cifar-cnn@production",
                        "input": {"dataset": "cifar10@1", "split": "test"},
                        "top_k": 3,
                        "format": "parquet",
                    },
                },
            },
        },
    )
)
