"""Pretrained networks that a training may start from: those that come with Tidepool, and those that people bring."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Name, Positive, Sha256, Version, Whole
from contract.division import Outcome
from contract.images import CHANNELS, Mode, Scale, Side, statistics_error

Status = Literal["ready", "rejected"]
Format = Literal["safetensors", "onnx"]
KnownArchitecture = Literal["lite0", "lite1", "lite2", "resnet18", "cnn"]
Licence = Annotated[str, Field(min_length=1, max_length=200)]
Means = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
Deviations = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)]


class BuiltIn(Frozen):
    """A backbone that comes with Tidepool: RGB images of `side` pixels to `features`, without a classifier.

    It was trained with pixels `(x / 255 - mean) / std`. `sha256` is that of the file of its weights.
    """

    title: str
    side: Positive
    features: Positive
    parameters: Positive
    mean: float
    std: float
    sha256: Sha256
    licence: Licence


def _lite(number: int, side: int, parameters: int, sha256: str) -> BuiltIn:
    return BuiltIn(
        title=f"EfficientNet-Lite{number}, trained on ImageNet",
        side=side,
        features=1280,
        parameters=parameters,
        mean=127 / 255,
        std=128 / 255,
        sha256=sha256,
        licence="Apache-2.0",
    )


BUILT_IN = {
    "lite0": _lite(0, 224, 3_371_008, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "lite1": _lite(1, 240, 4_135_680, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "lite2": _lite(2, 260, 4_811_072, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}


class BackboneInput(Frozen):
    """The images that a network was trained with: `(pixel * scale / 255 - mean) / std` per channel."""

    size: tuple[Side, Side] | None = Field(
        default=None, description="Height and width in pixels; read from an ONNX file whose input is fixed."
    )
    mode: Mode = "RGB"
    mean: Means
    std: Deviations
    scale: Scale = Field(
        default=1, description="`mean` and `std` are those of pixels in 0..1 (1, the default) or in 0..255 (255)."
    )

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == CHANNELS[self.mode]:
            raise ValueError(f"mean and std need {CHANNELS[self.mode]} numbers each for {self.mode} images")
        if reason := statistics_error(self.mean, self.std, self.scale):
            raise ValueError(reason)
        return self


class BackboneMetadata(Frozen):
    """What the file of a pretrained network does not say."""

    architecture: KnownArchitecture | None = Field(
        default=None, description="Of a safetensors file; the one that its tensors fit, if left out."
    )
    preprocessing: BackboneInput | None = Field(
        default=None, description="Needed unless the network is lite0, lite1 or lite2."
    )
    licence: Licence | None = None

    @model_validator(mode="after")
    def _preprocessing_is_known(self) -> Self:
        if self.architecture is not None and self.architecture not in BUILT_IN and self.preprocessing is None:
            raise ValueError(f"{self.architecture} needs preprocessing: size, mean and std of the images it has seen")
        return self


class BackboneImages(Frozen):
    """The images that a network takes; `mean` and `std` are per channel, of pixels scaled to 0..1."""

    size: tuple[Side, Side] = Field(description="Height and width in pixels.")
    mode: Mode
    mean: Means
    std: Deviations


class OnnxNames(Frozen):
    """The names of the graph's input of images and output of features."""

    input: str
    output: str


class BackboneManifest(Outcome):
    """Describes one version of a backbone that a person brought.

    `file` has the weights in Tidepool's own layout for `safetensors`, and is the file as uploaded for `onnx`, which can
    be used by a probe only. `sha256` and `size_bytes` are those of the uploaded file.
    """

    format: Format
    file: ObjectRef
    sha256: Sha256
    size_bytes: Whole
    architecture: KnownArchitecture | None = None
    images: BackboneImages
    features: Positive
    parameters: Whole
    licence: Licence | None = None
    onnx: OnnxNames | None = None


class Backbone(Frozen):
    """A backbone with its versions, newest first; the other fields are those of the newest version that is ready.

    One that comes with Tidepool is `built_in` and has no versions: `init_from` takes its bare name.
    """

    name: Name
    built_in: bool = False
    title: str | None = None
    versions: tuple[Version, ...] = ()
    rejected: tuple[Version, ...] = ()
    format: Format | None = None
    architecture: KnownArchitecture | None = None
    images: BackboneImages | None = None
    features: Positive | None = None
    parameters: Whole | None = None
    licence: Licence | None = None
    sha256: Sha256 | None = None
    created_at: datetime | None = None


class BackboneVersion(Frozen):
    """One version of a backbone that a person brought; a rejected one has little more than a reason."""

    name: Name
    version: Version
    status: Status = "ready"
    reason: str | None = Field(default=None, description="Why it was rejected.")
    job: str
    created_at: datetime
    format: Format | None = None
    architecture: KnownArchitecture | None = None
    images: BackboneImages | None = None
    features: Positive | None = None
    parameters: Whole | None = None
    licence: Licence | None = None
    sha256: Sha256 | None = None
    size_bytes: Whole | None = None


def built_in_backbone(name: str) -> Backbone:
    """Return the description of a backbone that comes with Tidepool."""
    known = BUILT_IN[name]
    images = BackboneImages(size=(known.side, known.side), mode="RGB", mean=(known.mean,) * 3, std=(known.std,) * 3)
    shared = {field: getattr(known, field) for field in ("title", "features", "parameters", "licence", "sha256")}
    return Backbone(name=name, built_in=True, images=images, **shared)
