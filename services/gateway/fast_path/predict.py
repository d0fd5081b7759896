"""The short way of POST /v1/models/{name}/predict: one picture and a plain query."""

import re
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from contract.base import NAME_PATTERN
from services.gateway.api.predict import IMAGE_TYPES
from services.gateway.dependencies import Backends
from services.gateway.edge.problems import problem_of
from services.gateway.fast_path.shortcut import Call, Found, Headers, may_predict
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import Answered, Then
from services.gateway.serving.predictor import Chosen, Wanted, best, timing

_PATH = re.compile(rf"/v1/models/({NAME_PATTERN[1:-1]})/predict")
_TYPES = frozenset(kind.encode() for kind in IMAGE_TYPES)
_JSON = (b"content-type", b"application/json")
_PLAIN = {
    "version": re.compile(r"[1-9][0-9]{0,8}"),
    "alias": re.compile(NAME_PATTERN),
    "top_k": re.compile(r"[1-9][0-9]{0,2}"),
}


class _Prediction(msgspec.Struct):
    label: str
    score: float


class _Timing(msgspec.Struct):
    queue: float
    inference: float
    total: float


class _Answer(msgspec.Struct):
    """SinglePrediction of the documented endpoint, field by field."""

    model: str
    version: int
    predictions: list[_Prediction]
    timing_ms: _Timing


_encode = msgspec.json.Encoder().encode


class PredictShortcut:
    """Takes what has one picture and a plain query, for a model that was asked a moment ago."""

    def __init__(self, behind: Backends) -> None:
        self._behind = behind

    def match(self, path: str, query: bytes, headers: Headers) -> Call | None:
        found = _PATH.fullmatch(path)
        if found is None or headers.get(b"content-type") not in _TYPES or b"x-request-timeout" in headers:
            return None
        asked = _query(query)
        if asked is None or not may_predict(self._behind, headers):
            return None
        version = int(asked["version"]) if "version" in asked else None
        chosen = self._behind.predictor.peek(Wanted(found[1], version, asked.get("alias")))
        return None if chosen is None else PredictCall(self._behind, chosen, int(asked.get("top_k", "1")))


class PredictCall:
    """Answers as the endpoint does."""

    __slots__ = ("_behind", "_chosen", "_top_k")

    route = "/v1/models/{name}/predict"

    def __init__(self, behind: Backends, chosen: Chosen, top_k: int) -> None:
        self._behind = behind
        self._chosen = chosen
        self._top_k = top_k

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        within_s = self._behind.settings.predict_timeout_s
        return self._behind.predictor.post(self._chosen, body, self._top_k, within_s, request_id, then)

    def found(self, answered: Answered) -> Found:
        target, spent = self._chosen.target, timing([answered])
        predictions = [_Prediction(label, score) for label, score in best(answered)]
        timing_ms = _Timing(spent.queue, spent.inference, spent.total)
        body = _encode(_Answer(target.model, target.version, predictions, timing_ms))
        return Found([_JSON, (b"content-length", b"%d" % len(body))], body)

    def refuse(self, error: Exception) -> Response:
        return problem_of(error)


def _query(raw: bytes) -> dict[str, str] | None:
    """The query's fields if each is there once and plain."""
    if not raw:
        return {}
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    asked = dict(pairs)
    plain = len(pairs) == len(asked) and all(name in _PLAIN and _PLAIN[name].fullmatch(asked[name]) for name in asked)
    return asked if plain and not {"version", "alias"} <= asked.keys() else None
