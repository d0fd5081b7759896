"""Evaluate: judge a model on a split of a dataset, alone or against another model."""

from typing import Annotated, Literal

from pydantic import Field

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest, Split
from contract.division import Outcome
from contract.errors import Invalid
from contract.evaluation import EvaluationReport
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.kinds.predict import OutputInfo
from contract.kinds.registry import register
from contract.references import DatasetReference, ModelReference, Reference, ReferenceText, RefersTo
from contract.training import ModelManifest

_NAMED = 5  # classes in a message


class EvaluateSpec(JobSpec):
    """Judge a model on the images of a split whose classes it knows, and compare it with another model.

    Images are prepared as the model needs them: if the dataset has them in another size, mode or resize method, they
    are decoded again from the originals. `unknown_precision` is the share of right answers that the threshold for
    "unknown" must reach. The output has a row for each image.
    """

    model: ModelReference
    dataset: DatasetReference
    split: Split = Split.TEST
    compare_with: Annotated[ReferenceText | None, RefersTo("model")] = Field(
        default=None, description="Another model, judged on the same images."
    )
    unknown_precision: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.95
    format: Literal["jsonl", "parquet"] = "jsonl"

    @property
    def subject(self) -> Subject:
        return Subject(Reference.parse(self.dataset).name, Reference.parse(self.model).name)

    @property
    def models(self) -> tuple[str, ...]:
        """The references of the model and of the one to compare it with, if any."""
        return (self.model,) if self.compare_with is None else (self.model, self.compare_with)

    def check(self, manifests: Manifests) -> None:
        dataset = manifests.datasets[self.dataset]
        if not dataset.shards.get(self.split):
            raise Invalid(f"the dataset {self.dataset} has no {self.split} split")
        if self.model == self.compare_with:
            raise Invalid(f"compare_with is the model itself, {self.model}; name another model or version")
        for model in self.models:
            self._check_model(model, manifests.models[model], dataset)

    def _check_model(self, model: str, manifest: ModelManifest, dataset: DatasetManifest) -> None:
        card = manifest.card
        unknown = [label for label in classes_of(dataset, self.split) if label not in card.labels]
        if unknown:
            raise Invalid(
                f"{model} does not know {_listed(unknown)} of {self.dataset}; choose a model that was trained on all "
                f"classes of the {self.split} split"
            )
        if card.preprocessing.image != dataset.image and dataset.index is None:
            raise Invalid(
                f"{model} takes images as {card.preprocessing.image}, {self.dataset} has them as {dataset.image}, and "
                "without an index of its images the originals cannot be decoded again; wait until its index job has "
                "ended, or upload the archive as a new version"
            )


def classes_of(dataset: DatasetManifest, split: Split) -> tuple[str, ...]:
    """Return the classes that have images in a split."""
    counts = dataset.counts_by_class.get(split, {})
    return tuple(label for label in dataset.classes if counts.get(label)) or dataset.classes


def _listed(labels: list[str]) -> str:
    noun = "the class" if len(labels) == 1 else f"{len(labels)} classes, such as" if labels[_NAMED:] else "the classes"
    return f"{noun} {', '.join(repr(label) for label in labels[:_NAMED])}"


class EvaluateRequest(KindRequest):
    kind: Literal["evaluate"]
    spec: EvaluateSpec


class EvaluateResult(EvaluationReport):
    output: OutputInfo


class EvaluationOutput(Outcome):
    """The outcome of an evaluation: the report, and the file with a row for each image."""

    artifact: ObjectRef
    report: EvaluationReport


register(
    Kind(
        name="evaluate",
        pool="inference",
        request=EvaluateRequest,
        outcome=EvaluationOutput,
        examples={
            "evaluate": {
                "summary": "Judge a model, and compare it with the one in production",
                "value": {
                    "kind": "evaluate",
                    "spec": {
                        "model": "cifar-cnn@2",
                        "dataset": "cifar10@1",
                        "split": "test",
                        "compare_with": "cifar-cnn@production",
                    },
                },
            },
        },
    )
)
