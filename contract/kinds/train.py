"""Train: fit a network to a dataset and publish it as the next version of a model."""

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from contract.backbones import BackboneManifest
from contract.base import Frozen, Name, Positive, first_fault
from contract.choices import Choice
from contract.errors import Invalid
from contract.evaluation import EvaluationMetrics, TrainingImages
from contract.images import ImageSpec
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.kinds.registry import register
from contract.layers import shapes
from contract.references import DatasetReference, Reference, ReferenceText, RefersTo
from contract.search import GRADIENT_FIELDS, FoldReport, Scalar, Search, Study, with_parameters
from contract.training import (
    BACKBONE_NAMES,
    RECIPES,
    Architecture,
    Augment,
    Budget,
    ClassWeights,
    Epoch,
    Layers,
    Method,
    ModelManifest,
    OnnxInfo,
    Optimizer,
    architecture_name,
)

# Marked as a whole: pydantic keeps no marks of the members of a union.
InitReference = Annotated[ReferenceText | None, RefersTo("start", built_in=BACKBONE_NAMES)]


class Replicas(Frozen):
    """How many replicas of the trainer share a training: it starts with `min`, and free ones join up to `max`.

    Every batch is cut into `shards`, which the replicas share, so that their number does not change what is learned.
    """

    min: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    max: Annotated[int, Field(strict=True, ge=1, le=64)]
    shards: Annotated[int, Field(strict=True, ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _in_order(self) -> "Replicas":
        if self.min > self.max:
            raise ValueError("min is larger than max; lower min, or raise max")
        if self.max > self.shards:
            raise ValueError(f"{self.max} replicas need as many shards; set shards to {self.max} or more, or lower max")
        return self


class TrainSpec(JobSpec):
    """A training job. Omitted fields are decided from the data; each decision is in the result, with its reason.

    `method` is `probe` (a linear head on the features of a pretrained network), `fine_tune` (the whole pretrained
    network) or `scratch`. `init_from` is a backbone such as `lite0`, one that a person brought, or a model trained
    here, such as `pets@3`. An `architecture` means `scratch`, with the recipe of that architecture for every other
    omitted field; so do `epochs`, `optimizer`, `schedule` or `batch_size` alone, with the recipe of the small CNN.
    With `replicas`, several replicas share a training by gradient descent.
    `patience` ends the training after this many epochs without a better validation accuracy. With a `budget`, training
    ends when the time is over. A `search` trains several times with different settings. `folds` is the number of extra
    trainings that each leave out another part of the training images, to measure how good such a training is.
    """

    dataset: DatasetReference
    model: Name
    method: Method | None = None
    init_from: InitReference = None
    architecture: Architecture | None = None
    epochs: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    batch_size: Annotated[int, Field(strict=True, ge=2, le=8192)] | None = None
    optimizer: Optimizer | None = None
    schedule: Literal["onecycle", "cosine", "constant"] | None = None
    label_smoothing: Annotated[float, Field(strict=True, ge=0, lt=1)] | None = None
    augment: Annotated[bool, Field(strict=True)] | Augment | None = None
    class_weights: ClassWeights | None = None
    budget: Budget | None = None
    patience: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0
    search: Search | None = Field(default=None, exclude_if=lambda search: search is None)
    folds: Annotated[int, Field(strict=True, ge=2, le=20)] | None = Field(
        default=None, exclude_if=lambda folds: folds is None
    )
    replicas: Replicas | None = Field(default=None, exclude_if=lambda replicas: replicas is None)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_recipe(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("architecture") is None:
            return value
        name = architecture_name(value["architecture"])
        return RECIPES.get(name, {}) | value if isinstance(name, str) else value

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "TrainSpec":
        if self.architecture is not None and (self.init_from is not None or self.method not in (None, "scratch")):
            raise ValueError(
                "architecture is for training from scratch; leave out method and init_from, or architecture"
            )
        if self.method == "scratch" and self.init_from is not None:
            raise ValueError(
                "method scratch starts from random weights; leave out init_from, or use fine_tune or probe"
            )
        needless = [name for name in (*GRADIENT_FIELDS, "replicas") if getattr(self, name) is not None]
        if self.method == "probe" and needless:
            raise ValueError(f"a probe is fitted without {needless[0]}; leave it out, or use method fine_tune")
        return self

    @model_validator(mode="after")
    def _trainings_are_shared_or_many(self) -> "TrainSpec":
        if self.replicas is not None and (self.search is not None or self.folds is not None):
            many = "folds" if self.search is None else "search"
            raise ValueError(f"{many} and replicas do not go together: choose one")
        return self

    @model_validator(mode="after")
    def _search_fits(self) -> "TrainSpec":
        if self.search is None:
            return self
        if self.folds is not None or self.budget is not None:
            needless, why = ("folds", "choose one") if self.folds else ("budget", "search.minutes bounds all trials")
            raise ValueError(f"search and {needless} do not go together: {why}")
        samples = self.search.samples()
        for name, values in samples.items():
            chosen = f"{name.partition('.')[0]}.name"
            first = {chosen: samples[chosen][0]} if chosen in samples else {}
            for value in values:
                self._try(first | {name: value}, name, value)
        self._try_together(samples)
        return self

    def _try_together(self, samples: dict[str, tuple[Scalar, ...]]) -> None:
        """Raise ValueError if values that are valid by themselves do not fit together.

        `method` and the names decide which settings a trial has, and so each combination of them is tried.
        """
        choosing = [name for name in samples if name == "method" or name.endswith(".name")]
        first = {name: values[0] for name, values in samples.items()}
        for chosen in product(*(samples[name] for name in choosing)):
            parameters = first | dict(zip(choosing, chosen, strict=True))
            for name, values in samples.items():
                if name.startswith(("architecture.", "optimizer.")) and name not in choosing:
                    for value in values:
                        self._try(parameters | {name: value}, name, value)
            last = choosing[-1] if choosing else next(iter(samples))
            self._try(parameters, last, parameters[last])

    def _try(self, parameters: dict[str, Scalar], name: str, value: Scalar) -> None:
        """Raise ValueError, which names the new parameter, if a training cannot have these parameters."""
        try:
            spec = self.with_parameters(parameters)
        except ValidationError as error:
            _, reason = first_fault(error)
            raise ValueError(f"search.over.{name} has {value!r}, which does not fit: {reason}") from None
        if name == "init_from" and spec.init_from not in (None, *BACKBONE_NAMES):
            raise ValueError(f"search.over.init_from can have the backbones {', '.join(BACKBONE_NAMES)}, not {value!r}")

    def with_parameters(self, parameters: dict[str, Scalar]) -> "TrainSpec":
        """Return the training of a trial; raises ValidationError."""
        fields = self.model_dump(mode="json", exclude={"search", "folds"})
        default = "adam" if parameters.get("method", self.method) == "fine_tune" else self._optimizer_of(parameters)
        return TrainSpec.model_validate(with_parameters(fields, parameters, default))

    def _optimizer_of(self, parameters: dict[str, Scalar]) -> str:
        architecture = parameters.get("architecture.name") or architecture_name(self.architecture) or "cnn"
        name: str = RECIPES.get(str(architecture), RECIPES["cnn"])["optimizer"]["name"]
        return name

    @property
    def subject(self) -> Subject:
        return Subject(dataset=Reference.parse(self.dataset).name, model=self.model)

    def check(self, manifests: Manifests) -> None:
        self.check_shape(manifests.datasets[self.dataset].image.shape)
        if not manifests.datasets[self.dataset].counts.train:
            raise Invalid(f"the dataset {self.dataset} has no training images left; name another version")
        if self.search is not None and not manifests.datasets[self.dataset].counts.val:
            raise Invalid(
                f"the dataset {self.dataset} has no validation images, on which the trials of a search are compared; "
                "prepare it again with a validation split, or leave out search"
            )
        origin = manifests.models.get(self.init_from or "")
        if origin is not None and origin.state is None:
            raise Invalid(
                f"{self.init_from} has no weights to start from, because it was uploaded, is of an older release or "
                "uses an ONNX backbone; name a model that this release trained, or a backbone: "
                f"{', '.join(BACKBONE_NAMES)}"
            )
        image = manifests.datasets[self.dataset].image
        if origin is not None and origin.preprocessing is not None:
            self._check_mode(origin.preprocessing.image.mode, image)
        backbone = manifests.backbones.get(self.init_from or "")
        if backbone is not None:
            self._check_backbone(backbone, image)

    def _check_mode(self, mode: str, image: ImageSpec) -> None:
        """Raise Invalid if `init_from` takes grey images and those of the dataset have colours."""
        if mode == "L" and image.mode == "RGB":
            raise Invalid(
                f"{self.init_from} takes grey images, and {self.dataset} has colours; prepare the dataset again with "
                "mode L"
            )

    def _check_backbone(self, backbone: BackboneManifest, image: ImageSpec) -> None:
        """Raise Invalid if the backbone cannot take the images, or cannot be trained as the request says."""
        self._check_mode(backbone.images.mode, image)
        if backbone.format != "onnx":
            return
        if self.search is not None or self.folds is not None:
            raise Invalid(
                f"{self.init_from} is an ONNX file, which search and folds cannot train; leave them out, or bring the "
                "weights as safetensors"
            )
        if self.method == "fine_tune":
            raise Invalid(
                f"{self.init_from} is an ONNX file, which cannot be fine-tuned; use method probe, or bring the weights "
                "as safetensors"
            )
        needless = next((name for name in (*GRADIENT_FIELDS, "replicas") if getattr(self, name) is not None), None)
        if needless is not None:
            raise Invalid(
                f"{self.init_from} is an ONNX file, which only a probe can use, and a probe is fitted without "
                f"{needless}; leave it out"
            )

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
    best_epoch: Positive | None
    onnx: OnnxInfo
    decisions: tuple[Choice, ...] = ()
    training_images: TrainingImages | None = None
    study: Study | None = None
    folds: FoldReport | None = None

    @classmethod
    def of(cls, reference: Reference, manifest: ModelManifest) -> "TrainResult":
        if manifest.metrics is None:
            raise TypeError("a training job must publish metrics")
        return cls(
            model=str(reference),
            metrics=manifest.metrics,
            epochs=manifest.epochs,
            best_epoch=manifest.best_epoch,
            onnx=manifest.onnx,
            decisions=manifest.decisions,
            training_images=manifest.training_images,
            study=manifest.study,
            folds=manifest.folds,
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
            "search": {
                "summary": "Search for the best settings in twenty minutes",
                "value": {
                    "kind": "train",
                    "spec": {
                        "dataset": "cifar10",
                        "model": "cifar-best",
                        "search": {
                            "trials": 16,
                            "minutes": 20,
                            "over": {
                                "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
                                "architecture.name": ["cnn", "resnet18"],
                                "augment.erase": [0.0, 0.25],
                            },
                            "objective": "val.macro_f1",
                        },
                    },
                },
            },
        },
    )
)
