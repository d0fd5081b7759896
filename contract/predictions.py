"""Predictions for one image, in responses and in files of predictions."""

from pydantic import Field

from contract.base import Frozen
from contract.datasets import Label
from contract.jobs import JobError


class Prediction(Frozen):
    label: Label
    score: float = Field(description="Softmax probability, 0..1.")


class ImageResult(Frozen):
    """An image's predictions, best first, or the error."""

    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None


class IdentifiedResult(ImageResult):
    """The result of one image of a request; gateways of older releases send no `id`."""

    id: str | None = Field(default=None, description="The prediction's id, for feedback.")
