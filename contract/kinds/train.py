"""Train: fit a network to a dataset and publish it as the next version of a model."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from contract.base import Frozen, Name, Positive
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.kinds.registry import register
from contract.layers import shapes
from contract.references import DatasetReference, Reference, ReferenceText
from contract.training import (
    RECIPES,
    Architecture,
    Cnn,
    Epoch,
    EvaluationMetrics,
    Layers,
    ModelManifest,
    OnnxInfo,
    Optimizer,
    Sgd,
    architecture_name,
)


class TrainSpec(JobSpec):
    """A training job; omitted fields are filled in from the recipe of the architecture."""

    dataset: DatasetReference
    model: Name
    architecture: Architecture = Cnn()
    epochs: Annotated[int, Field(strict=True, ge=1, le=1000)] = 40
    batch_size: Annotated[int, Field(strict=True, ge=2, le=8192)] = 128
    optimizer: Optimizer = Sgd(name="sgd")
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    label_smoothing: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.1
    augment: Annotated[bool, Field(strict=True)] = True
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_recipe(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        name = architecture_name(value.get("architecture", Cnn()))
        return RECIPES.get(name, {}) | value if isinstance(name, str) else value

    @property
    def subject(self) -> Subject:
        return Subject(dataset=Reference.parse(self.dataset).name, model=self.model)

    def check(self, manifests: Manifests) -> None:
        self.check_shape(manifests.datasets[self.dataset].image.shape)

    def check_shape(self, image: tuple[int, int, int]) -> None:
        """Raise BadModel if the layer list cannot take images of (channels, height, width)."""
        if isinstance(self.architecture, Layers):
            shapes(self.architecture.layers, image)


class TrainRequest(KindRequest):
    kind: Literal["train"]
    spec: TrainSpec


class TrainResult(Frozen):
    model: ReferenceText
    metrics: EvaluationMetrics
    epochs: tuple[Epoch, ...]
    best_epoch: Positive
    onnx: OnnxInfo

    @classmethod
    def of(cls, reference: Reference, manifest: ModelManifest) -> "TrainResult":
        if manifest.metrics is None or manifest.best_epoch is None:
            raise TypeError("a training job must publish metrics and its best epoch")
        return cls(
            model=str(reference),
            metrics=manifest.metrics,
            epochs=manifest.epochs,
            best_epoch=manifest.best_epoch,
            onnx=manifest.onnx,
        )


register(
    Kind(
        name="train",
        pool="trainer",
        request=TrainRequest,
        outcome=ModelManifest,
        examples={
            "train": {
                "summary": "Train the default network",
                "value": {"kind": "train", "spec": {"dataset": "cifar10@1", "model": "cifar-cnn"}},
            },
            "layers": {
                "summary": "Train a network of your own layers",
                "value": {
                    "kind": "train",
                    "spec": {
                        "dataset": "cifar10",
                        "model": "mine",
                        "architecture": {
                            "layers": [
                                {"conv": 32, "kernel": 3},
                                {"relu": {}},
                                {"maxpool": 2},
                                {"flatten": {}},
                                {"dense": 64},
                            ]
                        },
                        "epochs": 5,
                        "optimizer": {"name": "adam", "lr": 0.001},
                    },
                },
            },
        },
    )
)
