"""The fast path of POST /v1/models/{name}/predict: one image and a plain query."""

import re
from dataclasses import fields
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from contract.access import Scope
from contract.base import NAME_PATTERN
from contract.errors import Invalid
from contract.predictions import Prediction
from services.gateway.api.predict import PredictQuery, SinglePrediction, may_be_image
from services.gateway.dependencies import Backends
from services.gateway.edge.problems import problem_of
from services.gateway.fast_path.limited import limited
from services.gateway.fast_path.shortcut import Call, Headers, Opener, Rendered
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.predictor import Chosen, TimingMs, top_classes

_PATH = re.compile(rf"/v1/models/({NAME_PATTERN[1:-1]})/predict")
NO_REVIEW = b"x-tidepool-no-review"
_JSON = (b"content-type", b"application/json")


def _struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """Return a struct with the model's fields, in its order; it is created and encoded much faster."""
    return msgspec.defstruct(model.__name__, [(name, Any) for name in model.model_fields])


_Answer, _Prediction = _struct_of(SinglePrediction), _struct_of(Prediction)
_Timing = msgspec.defstruct("TimingMs", [(field.name, float) for field in fields(TimingMs)])
_encode = msgspec.json.Encoder().encode


class PredictShortcut:
    """Takes requests with one image and a plain query, if their key and their model are cached."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def match(self, path: str, query: bytes, headers: Headers) -> Opener | None:
        match = _PATH.fullmatch(path)
        if match is None or b"x-request-timeout" in headers or not _may_be_image(headers.get(b"content-type", b"")):
            return None
        parameters, opted_out = plain_query(query), headers.get(NO_REVIEW)
        if parameters is None or opted_out not in (None, b"1", b"true"):
            return None
        key = headers.get(b"authorization"), headers.get(b"origin")
        return partial(self._open, match[1], parameters, key, opted_out is None)

    def _open(
        self, name: str, query: PredictQuery, key: tuple[bytes | None, bytes | None], may_review: bool, _: int
    ) -> Call | None:
        authorization, origin = key
        caller = self._backends.access.peek(authorization, Scope.PREDICT, origin)
        if caller is None:
            return None
        chosen = self._backends.predictor.peek(query.model_query(caller.project, name))
        if chosen is None:
            return None
        if not may_review:
            chosen = chosen._replace(sampling=None)
        call = PredictCall(self._backends, chosen, query.top_k)
        return call if caller.quotas is None else limited(call, caller, self._backends.quotas)


class PredictCall:
    """One prediction."""

    __slots__ = ("_backends", "_chosen", "_request_id", "_top_k")

    route = "/v1/models/{name}/predict"

    def __init__(self, backends: Backends, chosen: Chosen, top_k: int) -> None:
        self._backends = backends
        self._chosen = chosen
        self._top_k = top_k

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        self._request_id = request_id
        within_s = self._backends.settings.predict_timeout_s
        return self._backends.predictor.post(self._chosen, body, self._top_k, within_s, request_id, then)

    def render(self, answer: BatchedAnswer) -> Rendered:
        target = self._chosen.target
        predictions = [_Prediction(label, score) for label, score in top_classes(answer)]
        queue, inference = answer.queue_ms, answer.inference_ms
        timing = _Timing(round(queue, 3), round(inference, 3), round(queue + inference, 3))
        body = _encode(_Answer(self._request_id, target.model, target.version, target.variant, predictions, timing))
        return Rendered([_JSON, (b"content-length", b"%d" % len(body))], body)

    def refuse(self, error: Exception) -> Response:
        return problem_of(error)


@lru_cache(256)
def _may_be_image(content_type: bytes) -> bool:
    return may_be_image(content_type.decode("latin-1"))


@lru_cache(4096)
def plain_query(raw: bytes) -> PredictQuery | None:
    """Parse a query string; None if the endpoint would refuse it, or if a parameter is repeated or unknown."""
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(pairs) != len(values) or not values.keys() <= PredictQuery.model_fields.keys():
        return None
    try:
        query = PredictQuery.model_validate(values)
        query.model_query("", "")
    except (ValidationError, Invalid):
        return None
    return query
