"""Responses that only the client has types for, and the parsing of all of them."""

from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from contract.base import Frozen, first_fault
from contract.catalog import Upload
from contract.predictions import IdentifiedResult, Prediction
from contract.variants import VariantName
from tidepool_client.errors import UnexpectedResponse

Model = TypeVar("Model", bound=BaseModel)


def parsed(kind: type[Model], value: Any) -> Model:
    """Validate a response; fields that a newer server adds are ignored. Raises UnexpectedResponse."""
    try:
        return kind.model_validate(value, extra="ignore")
    except ValidationError as error:
        place, reason = first_fault(error)
        where = ".".join(map(str, place))
        raise UnexpectedResponse(
            f"the response is not what this client knows as {kind.__name__} ({where}: {reason}); is the address "
            "that of Tidepool, and the client as new as the server?"
        ) from error


class ImagePrediction(Frozen):
    """The predictions for one image, best first, and the milliseconds spent in each step; `id` is for feedback."""

    id: str = ""  # older servers do not send it
    model: str
    version: int
    model_variant: VariantName = "fp32"  # older servers do not say it
    predictions: tuple[Prediction, ...]
    timing_ms: dict[str, float]

    @property
    def label(self) -> str:
        """The class with the best score."""
        return self.predictions[0].label

    @property
    def score(self) -> float:
        """The best score, 0..1."""
        return self.predictions[0].score


class ManyPredictions(Frozen):
    """`results` are in the order of the images; each has predictions or an error of its own."""

    results: tuple[IdentifiedResult, ...]


class NewUpload(Upload):
    """An announced upload; PUT the file to `url`, or send it in parts of `part_size` bytes, the last with the rest."""

    url: str
    part_size: int = 0  # of older servers, which take no parts


class PartSize(Frozen):
    """A part that is stored."""

    number: int
    size: int


class StoredParts(Frozen):
    """What of an upload need not be sent again."""

    complete: bool
    part_size: int
    parts: tuple[PartSize, ...]


class PoolDemand(Frozen):
    """The demand of a pool, for an external scaler."""

    value: int
    waiting: int
    running: int
    desired: int


class Page(Frozen):
    """A page of a list; `next` is the cursor of the following one."""

    items: tuple[Any, ...]
    next: str | None


class Liveness(Frozen):
    """The process answers."""

    status: str


class Readiness(Frozen):
    """Which servers the gateway reaches; `degraded` if not all."""

    status: Literal["ready", "degraded"]
    database: str
    broker: str
    objects: str


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None, with dates as text."""
    return {name: _text(value) for name, value in fields.items() if value is not None}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
