"""Vet: examine an uploaded ONNX file and publish it as the next version of a model, ready or rejected."""

import math
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from contract.base import Frozen, Name
from contract.datasets import Label
from contract.errors import BadModel
from contract.images import (
    CHANNELS,
    ImageSpec,
    Layout,
    Mode,
    PixelType,
    Preprocessing,
    Resize,
    Scale,
    Side,
    statistics_error,
)
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.models import Output
from contract.references import ReferenceText, UploadSource
from contract.training import ModelManifest

SAMPLE_ELEMENTS = 2**16  # of all samples in a job's spec
_SAMPLE_AXES = 16


class ImageInput(Frozen):
    """How images become a model's input: `(pixel * scale / 255 - mean) / std` per channel.

    A graph that takes uint8 gets the pixels unchanged, so it needs no `mean` and `std`.
    """

    size: tuple[Side, Side] = Field(description="Height and width in pixels.")
    mode: Mode = "RGB"
    resize: Resize = "stretch"
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] | None = None
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)] | None = None
    scale: Scale = Field(
        default=1, description="`mean` and `std` are those of pixels in 0..1 (1, the default) or in 0..255 (255)."
    )
    layout: Layout | None = Field(default=None, description="Read from the graph's input if left out.")
    dtype: PixelType | None = Field(default=None, description="Read from the graph's input if left out.")

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> Self:
        if self.mean is None or self.std is None:
            if self.mean != self.std:
                raise ValueError("give both mean and std, or neither")
            if self.dtype not in (None, "uint8"):
                raise ValueError(f"mean and std are needed to make {self.dtype} of pixels")
            return self
        if not len(self.mean) == len(self.std) == CHANNELS[self.mode]:
            raise ValueError(f"mean and std need {CHANNELS[self.mode]} numbers each for {self.mode} images")
        if reason := statistics_error(self.mean, self.std, self.scale):
            raise ValueError(reason)
        if self.dtype == "uint8" and not self._keeps_pixels:
            raise ValueError("a uint8 input takes the pixels unchanged; leave mean, std and scale out")
        return self

    @property
    def image(self) -> ImageSpec:
        return ImageSpec(size=self.size, mode=self.mode, resize=self.resize)

    @property
    def _keeps_pixels(self) -> bool:
        """Whether `mean` and `std` are missing, change nothing, or are the 0 and 1 that people write for nothing."""
        unchanged = (1, self.scale / 255)
        return not any(self.mean or ()) and all(
            any(math.isclose(std, same, rel_tol=1e-3) for same in unchanged) for std in self.std or ()
        )

    def preprocessing(self, layout: Layout, dtype: PixelType) -> Preprocessing:
        """Return the preprocessing for a graph whose input has this layout and type; raises BadModel if it cannot."""
        channels = CHANNELS[self.mode]
        if dtype == "uint8":
            if not self._keeps_pixels:
                raise BadModel("the graph takes uint8 pixels unchanged; leave mean, std and scale out of preprocessing")
            mean, std, scale = (0.0,) * channels, (1.0,) * channels, 255
            return Preprocessing(image=self.image, mean=mean, std=std, scale=scale, layout=layout, dtype=dtype)
        if self.mean is None or self.std is None:
            raise BadModel(f"the graph takes {dtype} images, so preprocessing needs mean and std")
        return Preprocessing(
            image=self.image, mean=self.mean, std=self.std, scale=self.scale, layout=layout, dtype=dtype
        )


def _in_order(labels: Any) -> Any:
    """Return the labels of a mapping from class numbers, such as `id2label` of Hugging Face, in order."""
    if not isinstance(labels, dict):
        return labels
    try:
        by_number = {int(number): label for number, label in labels.items()}
    except ValueError:
        raise ValueError("the keys of labels must be class numbers") from None
    if sorted(by_number) != list(range(len(labels))):
        raise ValueError("the keys of labels must be the class numbers from 0, each once")
    return [by_number[number] for number in range(len(labels))]


Labels = Annotated[tuple[Label, ...], BeforeValidator(_in_order)]


class ModelMetadata(Frozen):
    """What an ONNX file may lack; a model with labels and preprocessing can classify images."""

    labels: Labels = Field(
        default=(), max_length=100_000, description="Labels of the outputs, in order, or an object by class number."
    )
    preprocessing: ImageInput | None = None
    output: Output | None = Field(
        default=None,
        description="Whether outputs are logits or probabilities; found by running the model if left out.",
    )
    samples: dict[str, Any] | None = Field(
        default=None, description="One set of inputs to try the model on: nested lists by name of the input."
    )

    @field_validator("labels")
    @classmethod
    def _unique(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        duplicates = [label for label, count in Counter(labels).items() if count > 1]
        if duplicates:
            raise ValueError(f"the label {duplicates[0]!r} occurs more than once; every output needs its own")
        return labels

    @field_validator("samples")
    @classmethod
    def _bounded(cls, samples: dict[str, Any] | None) -> dict[str, Any] | None:
        if sum(_elements(value) for value in (samples or {}).values()) > SAMPLE_ELEMENTS:
            raise ValueError(f"samples can have at most {SAMPLE_ELEMENTS} elements; send more as an .npz file")
        return samples


def _elements(value: Any, axes: int = 0) -> int:
    """Count the elements of a nested list; raises ValueError for anything else in it."""
    if isinstance(value, list) and axes < _SAMPLE_AXES:
        return sum(_elements(element, axes + 1) for element in value)
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return 1
    raise ValueError(f"a sample is a number, a text, or lists of them nested at most {_SAMPLE_AXES} deep")


class VetSpec(ModelMetadata, JobSpec):
    """Examine an uploaded ONNX file and publish it as the next version of a model, ready or rejected."""

    model: Name
    source: UploadSource
    samples_file: UploadSource | None = Field(default=None, description="An .npz file, in place of `samples`.")

    @model_validator(mode="after")
    def _one_set_of_samples(self) -> Self:
        if self.samples is not None and self.samples_file is not None:
            raise ValueError("give samples either in the metadata or as a file")
        return self

    @property
    def subject(self) -> Subject:
        return Subject(model=self.model)


class VetRequest(KindRequest):
    kind: Literal["vet"]
    spec: VetSpec


Status = Literal["ready", "rejected"]


class VetResult(Frozen):
    """The version that was published; the job's error is the reason for a rejection."""

    model: ReferenceText
    status: Status


register(
    Kind(
        name="vet",
        pool="inference",
        request=VetRequest,
        outcome=ModelManifest,
        examples={
            "vet": {
                "summary": "Examine an ONNX model that was uploaded through a presigned URL",
                "value": {
                    "kind": "vet",
                    "spec": {"model": "mine", "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"}},
                },
            },
        },
    )
)
