"""The online prediction: one message carries a batch, one reply answers it."""

from pydantic import Field

from contract.artifacts import ObjectRef
from contract.base import Frozen, Name, Positive, Version
from contract.datasets import Label
from contract.jobs import JobError


class PredictCall(Frozen):
    """A batch for one model version; `images` are encoded files as the client sent them."""

    model: Name
    version: Version
    artifact: ObjectRef
    top_k: Positive
    images: tuple[bytes, ...]


class Prediction(Frozen):
    label: Label
    score: float = Field(description="Softmax probability, 0..1.")


class ImageResult(Frozen):
    """One picture's predictions, best first, or the reason why it has none."""

    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None


class PredictReply(Frozen):
    """Results in the order of the call's images, and who computed them."""

    results: tuple[ImageResult, ...]
    inference_ms: float
    provider: str
