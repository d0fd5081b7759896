"""Architectures, optimizers and recipes of training, and the manifest of a model."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from contract.artifacts import ObjectRef
from contract.backbones import BUILT_IN
from contract.base import Frozen, Positive, Whole
from contract.choices import Choice
from contract.datasets import Label
from contract.division import Outcome
from contract.drift import DriftReference
from contract.errors import Invalid
from contract.evaluation import EvaluationMetrics, TrainingImages
from contract.images import Preprocessing
from contract.layers import Layer, Width
from contract.lineage import Lineage
from contract.models import ModelCard, ModelWarning, Output
from contract.references import ReferenceText
from contract.search import FoldReport, Study
from contract.variants import Variant, VariantName


class Mlp(Frozen):
    """Flatten, then dense ReLU layers: the network of the classic CIFAR-10 example."""

    name: Literal["mlp"]
    hidden: tuple[Width, ...] = Field(default=(128,), max_length=16)


class Cnn(Frozen):
    """A small residual network: the best accuracy for its training time.

    `width` multiplies its channels; 2 takes about three times as long, 4 about eight times.
    """

    name: Literal["cnn"] = "cnn"
    width: Literal[1, 2, 4] = 1


class Airbench(Frozen):
    """The network of Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, with fewer channels.

    It learns from few passes over many small images, and takes about five times as long for one as the small `cnn`.
    """

    name: Literal["airbench"]


class ResNet18(Frozen):
    """He et al., "Deep Residual Learning for Image Recognition", 2015, with a stem for small images."""

    name: Literal["resnet18"]


class Layers(Frozen):
    """A layer list; a dense layer to the number of classes is added at its end."""

    layers: tuple[Layer, ...] = Field(min_length=1, max_length=64)


def architecture_name(value: Any) -> str | None:
    if isinstance(value, dict):
        return "layers" if "layers" in value else value.get("name")
    return "layers" if isinstance(value, Layers) else getattr(value, "name", None)


Architecture = Annotated[
    Annotated[Mlp, Tag("mlp")]
    | Annotated[Cnn, Tag("cnn")]
    | Annotated[Airbench, Tag("airbench")]
    | Annotated[ResNet18, Tag("resnet18")]
    | Annotated[Layers, Tag("layers")],
    Discriminator(
        architecture_name,
        custom_error_type="unknown_architecture",
        custom_error_message="is not a known architecture; name mlp, cnn, airbench or resnet18, or give a layers list",
    ),
]

Rate = Annotated[float, Field(strict=True, gt=0, le=10)]


class Adam(Frozen):
    """Kingma and Ba, "Adam", 2014."""

    name: Literal["adam"] = "adam"
    lr: Rate = 1e-3
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0


class Sgd(Frozen):
    """SGD with Nesterov momentum."""

    name: Literal["sgd"]
    lr: Rate = 0.3
    momentum: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1)] = 5e-4


Optimizer = Annotated[Adam | Sgd, Field(discriminator="name")]

BACKBONE_NAMES = tuple(BUILT_IN)  # the first is the default
DEFAULT_SECONDS = 60  # of a training without a budget, on two cores: what its defaults are chosen for

Method = Literal["probe", "fine_tune", "scratch"]
ClassWeights = Literal["none", "balanced"]
_Strength = Annotated[float, Field(ge=0, le=1)]


class Augment(Frozen):
    """Random changes of each training image, so that a network learns from it more than once.

    `flip` mirrors half of the images; turn it off where mirrored classes would be confused, such as left and right
    hands. `shift` is the largest shift as a share of the sides. `crop` cuts out a random part with at least `1 - crop`
    of the area. `colour` changes brightness, contrast and saturation by up to this share. `erase` blanks a random
    rectangle in this share of the images. `mix` blends pairs of images and their labels: mixup with Beta(mix, mix),
    Zhang et al., 2017.
    """

    flip: Annotated[bool, Field(strict=True)] = True
    shift: Annotated[float, Field(ge=0, le=0.5)] = 1 / 16
    crop: _Strength = 0.0
    colour: _Strength = 0.0
    erase: _Strength = 0.0
    mix: _Strength = 0.0


class Budget(Frozen):
    """Train as well as `minutes` allow; there is always a model at the end."""

    minutes: Annotated[float, Field(gt=0, le=7 * 1440)]


# Defaults for fields that a request omits; shown in the job's spec. Chosen by validation accuracy on CIFAR-10
# and a tenth of it, so that two cores train the default network on the tenth in about a minute.
_CONV_RECIPE: dict[str, Any] = {
    "epochs": 40,
    "batch_size": 128,
    "optimizer": {"name": "sgd", "lr": 0.3},
    "schedule": "onecycle",
    "label_smoothing": 0.1,
    "augment": True,
}
_PLAIN_RECIPE: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 128,
    "optimizer": {"name": "adam", "lr": 1e-3},
    "schedule": "onecycle",
    "label_smoothing": 0.0,
    "augment": True,
}
RECIPES: dict[str, dict[str, Any]] = {
    "cnn": _CONV_RECIPE,
    "airbench": _CONV_RECIPE
    | {
        "epochs": 10,
        "batch_size": 512,
        "optimizer": {"name": "sgd", "lr": 0.75, "momentum": 0.85, "weight_decay": 1.3e-3},
        "label_smoothing": 0.2,
    },
    "resnet18": _CONV_RECIPE | {"epochs": 20},
    "mlp": _PLAIN_RECIPE,
    "layers": _PLAIN_RECIPE,
}


class Epoch(Frozen):
    """One pass over the training split, then one over the validation split, if there is one.

    Losses are mean cross-entropy in nats, in training over augmented images and smoothed labels; seconds are
    wall time.
    """

    epoch: Positive
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


class TensorSignature(Frozen):
    """A model's input or output; a dynamic axis of the shape is its name, or -1 without one."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class OnnxInfo(Frozen):
    """The ONNX file; parity is the largest absolute difference of logits to PyTorch on validation images.

    An uploaded model has no parity.
    """

    sha256: str
    size: Whole
    opset: Positive
    parity_max_abs_diff: float | None


class FeatureFile(Frozen):
    """Features of a dataset's images by the hash of the image, to compute each of them once.

    `key` names how they were computed: backbone, image spec and normalization.
    """

    key: str
    file: ObjectRef


class ModelManifest(Outcome):
    """Describes one version of a model completely.

    `batched` if the first axis of every input and output is a batch of independent rows. An uploaded model has no
    dataset, metrics or epochs, and may have no labels and no preprocessing. `artifact` is the fp32 file; `variants` are
    all files, and `serving` is the one that serves unless a person pins another. An answer whose best score is below
    `unknown_below` should be read as "unknown". `output` and `max_batch` are those of the card, for a classifier of
    images. `state` has the weights of a model trained here, to train it further. `features` are kept with the dataset
    when the job ends, not with the model. `quarantined` is the reason for which the version no longer serves.
    `trained_on_erased` images that the weights, or those they started from, were trained with were erased since.
    `study` is that of the search whose best model this is, and `folds` what the trainings on parts of the images say.
    `drift_reference` is what the requests are compared with, in a model trained here with validation images.
    """

    artifact: ObjectRef
    labels: tuple[Label, ...] = ()
    preprocessing: Preprocessing | None = None
    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    batched: bool = True
    dataset: ReferenceText | None = None
    metrics: EvaluationMetrics | None = None
    epochs: tuple[Epoch, ...] = ()
    best_epoch: Positive | None = None
    parameters: Whole
    device: str | None = None
    onnx: OnnxInfo
    decisions: tuple[Choice, ...] = ()
    lineage: Lineage | None = None
    variants: tuple[Variant, ...] = ()
    serving: VariantName = "fp32"
    unknown_below: float | None = None
    training_images: TrainingImages | None = None
    output: Output = "logits"
    max_batch: Positive | None = None
    warnings: tuple[ModelWarning, ...] = ()
    state: ObjectRef | None = None
    features: FeatureFile | None = None
    quarantined: str | None = None
    trained_on_erased: Whole = 0
    study: Study | None = Field(default=None, exclude_if=lambda study: study is None)
    folds: FoldReport | None = Field(default=None, exclude_if=lambda folds: folds is None)
    drift_reference: DriftReference | None = Field(default=None, exclude_if=lambda reference: reference is None)

    @property
    def card(self) -> ModelCard:
        """The card for classifying images; raises Invalid if the model has no labels or no preprocessing."""
        if self.preprocessing is None or not self.labels:
            raise Invalid(
                "the model has no labels or no preprocessing for images; upload it again with both in its metadata, or "
                "send tensors to /v2"
            )
        return ModelCard(
            labels=self.labels, preprocessing=self.preprocessing, output=self.output, max_batch=self.max_batch
        )
