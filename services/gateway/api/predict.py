"""/v1/models/{name}/predict: one picture or several, answered by the inference pool."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.datastructures import UploadFile

from contract.base import NAME_PATTERN, Frozen, Name, Version
from contract.errors import Invalid, Malformed, TidepoolError, UnsupportedMedia
from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction
from services.gateway.dependencies import MAY_PREDICT, Backends, Behind, NamePath
from services.gateway.edge.forms import MULTIPART, media_type, parts
from services.gateway.edge.problems import documented
from services.gateway.serving.batching.request import Answered
from services.gateway.serving.predictor import Wanted, best, timing

router = APIRouter(prefix="/v1/models", tags=["predict"])

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp")


class TimingMs(Frozen):
    queue: float
    inference: float
    total: float


class SinglePrediction(Frozen):
    model: Name
    version: Version
    predictions: tuple[Prediction, ...]
    timing_ms: TimingMs


class ManyPredictions(Frozen):
    """`results` are in the order of the parts; each has predictions or an error of its own."""

    model: Name
    version: Version
    results: tuple[ImageResult, ...]
    timing_ms: TimingMs


_FILE = {"type": "string", "format": "binary"}
_PARTS = {"type": "object", "required": ["image"], "properties": {"image": {"type": "array", "items": _FILE}}}
_CONTENT = {media_type: {"schema": _FILE} for media_type in IMAGE_TYPES} | {MULTIPART: {"schema": _PARTS}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _CONTENT}}


@router.post(
    "/{name}/predict",
    dependencies=MAY_PREDICT,
    responses=documented(404, 413, 415, 504),
    openapi_extra=REQUEST_BODY,
)
async def predict(
    name: NamePath,
    request: Request,
    behind: Behind,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    alias: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    top_k: Annotated[int, Query(ge=1, le=1000)] = 1,
    x_request_timeout: Annotated[float | None, Header(gt=0, le=300, description="Seconds.")] = None,
) -> SinglePrediction | ManyPredictions:
    """Classify the picture in the body, or every `image` part of a multipart body."""
    if version is not None and alias is not None:
        raise Invalid("give version or alias, not both")
    chosen = await behind.predictor.choose(Wanted(name, version, alias))
    images, several = await _images(request, behind)
    within_s = x_request_timeout or behind.settings.predict_timeout_s
    found = await behind.predictor.classify_all(chosen, images, top_k, within_s)
    answered = [each for each in found if isinstance(each, Answered)]
    timing_ms = TimingMs(**asdict(timing(answered)))
    if several:
        results = tuple(_result(each) for each in found)
        return ManyPredictions(model=name, version=chosen.target.version, results=results, timing_ms=timing_ms)
    (one,) = found
    if isinstance(one, TidepoolError):
        raise one
    return SinglePrediction(
        model=name, version=chosen.target.version, predictions=_predictions(one), timing_ms=timing_ms
    )


def _result(found: Answered | TidepoolError) -> ImageResult:
    if isinstance(found, TidepoolError):
        return ImageResult(error=JobError(code=found.code, message=found.message))
    return ImageResult(predictions=_predictions(found))


def _predictions(answered: Answered) -> tuple[Prediction, ...]:
    return tuple(Prediction(label=label, score=score) for label, score in best(answered))


async def _images(request: Request, behind: Backends) -> tuple[list[bytes], bool]:
    """The encoded pictures of a body, and whether it may hold several."""
    kind = media_type(request)
    if kind in IMAGE_TYPES:
        return [await request.body()], False
    if kind != MULTIPART:
        raise UnsupportedMedia(f"send {', '.join(IMAGE_TYPES)}, or {MULTIPART} with `image` parts")
    async with parts(request, behind.settings.max_images) as form:
        images = form.getlist("image")
        if not images or len(images) != len(form.multi_items()):
            raise Malformed("a multipart body needs one or more parts called `image`, and no others")
        if not all(isinstance(image, UploadFile) for image in images):
            raise Malformed("each `image` part must be a file, with a filename")
        return [await image.read() for image in images if isinstance(image, UploadFile)], True
