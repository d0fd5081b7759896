"""/v1/models/{name}/predict: one image or several, answered by the inference pool."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from contract.base import NAME_PATTERN, Frozen, Name, Version
from contract.errors import Invalid, Malformed, TidepoolError, UnsupportedMedia
from contract.jobs import JobError
from contract.predictions import IdentifiedResult, Prediction
from contract.variants import VariantName
from services.gateway.dependencies import MAY_PREDICT, Backends, BackendsDep, CallerDep, NamePath
from services.gateway.edge.forms import MULTIPART, media_type, parts
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id
from services.gateway.serving.batching.request import BatchedAnswer
from services.gateway.serving.predictor import ModelQuery, TimingMs, timing, top_classes

router = APIRouter(prefix="/v1/models", tags=["predict"])

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp")
# sent for any file by clients that do not know its type; the last one is curl's default
_UNKNOWN_TYPES = {"", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded"}


class PredictQuery(BaseModel):
    """The query parameters; the fast path parses them by the same rules."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    alias: str | None = Field(default=None, pattern=NAME_PATTERN)
    top_k: int = Field(default=1, ge=1, le=1000)

    def model_query(self, project: str, name: str) -> ModelQuery:
        """Return the model that the request asks for; raises Invalid."""
        if self.version is not None and self.alias is not None:
            raise Invalid("give version or alias, not both")
        return ModelQuery(project, name, self.version, self.alias)


class SinglePrediction(Frozen):
    """`id` is the request's id, for feedback; `model_variant` is the file of the version that answered."""

    id: str
    model: Name
    version: Version
    model_variant: VariantName
    predictions: tuple[Prediction, ...]
    timing_ms: TimingMs


class ManyPredictions(Frozen):
    """`results` are in the order of the parts; each has predictions or an error, and an id, of its own."""

    model: Name
    version: Version
    model_variant: VariantName
    results: tuple[IdentifiedResult, ...]
    timing_ms: TimingMs


_FILE = {"type": "string", "format": "binary"}
_PARTS = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {"image": {"type": "array", "minItems": 1, "items": _FILE}},
}
_CONTENT: dict[str, Any] = {kind: {"schema": _FILE} for kind in (*IMAGE_TYPES, "application/octet-stream")}
_CONTENT |= {MULTIPART: {"schema": _PARTS}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _CONTENT}}


@router.post(
    "/{name}/predict",
    dependencies=MAY_PREDICT,
    responses=documented(404, 409, 413, 415, 504),
    openapi_extra=REQUEST_BODY,
)
async def predict(
    name: NamePath,
    request: Request,
    backends: BackendsDep,
    caller: CallerDep,
    query: Annotated[PredictQuery, Query()],
    x_request_timeout: Annotated[float | None, Header(gt=0, le=300, description="Seconds.")] = None,
    x_tidepool_no_review: Annotated[
        bool, Header(description="Keep the images of this request out of the review queue.")
    ] = False,
) -> SinglePrediction | ManyPredictions:
    """Classify the image in the body, or every `image` part of a multipart body.

    The format is found in the image itself: `image/*`, `application/octet-stream` and no Content-Type mean the same.
    """
    chosen = await backends.predictor.choose(query.model_query(caller.project, name))
    if x_tidepool_no_review:
        chosen = chosen._replace(sampling=None)
    images, multipart = await _images(request, backends)
    request_id = current_request_id()
    within_s = x_request_timeout or backends.settings.predict_timeout_s
    ids = [f"{request_id}-{number}" for number in range(len(images))] if multipart else [request_id]
    outcomes = await backends.predictor.classify_all(chosen, images, query.top_k, within_s, ids)
    timing_ms = timing([outcome for outcome in outcomes if isinstance(outcome, BatchedAnswer)])
    version: dict[str, Any] = {"model": name, "version": chosen.target.version, "model_variant": chosen.target.variant}
    if multipart:
        results = tuple(map(_result, ids, outcomes))
        return ManyPredictions(**version, results=results, timing_ms=timing_ms)
    (outcome,) = outcomes
    if isinstance(outcome, TidepoolError):
        raise outcome
    return SinglePrediction(id=request_id, **version, predictions=_predictions(outcome), timing_ms=timing_ms)


def may_be_image(content_type: str) -> bool:
    """Return whether a body of this Content-Type is read as an image; the image itself shows its format."""
    kind = media_type(content_type)
    return kind.startswith("image/") or kind in _UNKNOWN_TYPES


def _result(prediction_id: str, outcome: BatchedAnswer | TidepoolError) -> IdentifiedResult:
    if isinstance(outcome, TidepoolError):
        return IdentifiedResult(id=prediction_id, error=JobError(code=outcome.code, message=outcome.message))
    return IdentifiedResult(id=prediction_id, predictions=_predictions(outcome))


def _predictions(answer: BatchedAnswer) -> tuple[Prediction, ...]:
    return tuple(Prediction(label=label, score=score) for label, score in top_classes(answer))


async def _images(request: Request, backends: Backends) -> tuple[list[bytes], bool]:
    """Return the encoded images of a body, and whether it is multipart."""
    content_type = request.headers.get("content-type", "")
    if may_be_image(content_type):
        return [await request.body()], False
    if media_type(content_type) != MULTIPART:
        raise UnsupportedMedia(f"send {', '.join(IMAGE_TYPES)}, or {MULTIPART} with `image` parts")
    async with parts(request, backends.settings.max_images) as form:
        images = form.getlist("image")
        if not images or len(images) != len(form.multi_items()):
            raise Malformed("a multipart body needs one or more parts called `image`, and no others")
        if not all(isinstance(image, UploadFile) for image in images):
            raise Malformed("each `image` part must be a file, with a filename")
        return [await image.read() for image in images if isinstance(image, UploadFile)], True
