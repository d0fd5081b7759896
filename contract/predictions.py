"""What is said of a picture, in answers and in files of predictions."""

from pydantic import Field

from contract.base import Frozen
from contract.datasets import Label
from contract.jobs import JobError


class Prediction(Frozen):
    label: Label
    score: float = Field(description="Softmax probability, 0..1.")


class ImageResult(Frozen):
    """One picture's predictions, best first, or the reason why it has none."""

    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None
