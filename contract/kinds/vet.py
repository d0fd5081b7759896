"""Vet: examine an uploaded ONNX file and publish it as the next version of a model, ready or rejected."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Name
from contract.datasets import Label
from contract.images import CHANNELS, ImageSpec, Mode, Preprocessing, Resize, Side
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.models import ModelCard
from contract.references import ReferenceText, UploadSource
from contract.training import ModelManifest


class ImageInput(Frozen):
    """How images become a model's input: float32 `(pixel / 255 - mean) / std` per channel."""

    size: tuple[Side, Side] = Field(description="Height and width in pixels.")
    mode: Mode = "RGB"
    resize: Resize = "stretch"
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)]
    layout: Literal["NCHW"] = "NCHW"

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == CHANNELS[self.mode]:
            raise ValueError(f"mean and std need {CHANNELS[self.mode]} numbers each for {self.mode} images")
        return self

    @property
    def preprocessing(self) -> Preprocessing:
        image = ImageSpec(size=self.size, mode=self.mode, resize=self.resize)
        return Preprocessing(image=image, mean=self.mean, std=self.std)


class ModelMetadata(Frozen):
    """Labels and preprocessing, which an ONNX file may lack; a model with both can classify images."""

    labels: tuple[Label, ...] = Field(default=(), max_length=100_000, description="Labels of the outputs, in order.")
    preprocessing: ImageInput | None = None

    @property
    def card(self) -> ModelCard | None:
        """The card to store in the file, or None if a field is missing."""
        if not self.labels or self.preprocessing is None:
            return None
        return ModelCard(labels=self.labels, preprocessing=self.preprocessing.preprocessing)


class VetSpec(ModelMetadata, JobSpec):
    """Examine an uploaded ONNX file and publish it as the next version of a model, ready or rejected."""

    model: Name
    source: UploadSource

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
