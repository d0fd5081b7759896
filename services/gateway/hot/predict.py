"""The short way of POST /v1/models/{name}/predict: one picture and a plain query."""

import re
from functools import partial
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from contract.base import NAME_PATTERN
from services.gateway.dependencies import Backends
from services.gateway.hot.path import Answer, Found, Headers
from services.gateway.predict import IMAGE_TYPES
from services.gateway.predictor import Wanted, best, timing
from services.gateway.problems import problem_of

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
    """Answers as the endpoint does."""

    route = "/v1/models/{name}/predict"

    def __init__(self, behind: Backends) -> None:
        self._behind = behind

    def match(self, scope: Scope, headers: Headers) -> Answer | None:
        path = _PATH.fullmatch(scope["path"])
        if path is None or headers.get(b"content-type") not in _TYPES or b"x-request-timeout" in headers:
            return None
        asked = _query(scope["query_string"])
        return partial(self._answer, path[1], asked) if asked is not None else None

    def refuse(self, error: Exception) -> Response:
        return problem_of(error)

    async def _answer(self, name: str, asked: dict[str, str], file: bytes) -> Found:
        predictor, within_s = self._behind.predictor, self._behind.settings.predict_timeout_s
        version = int(asked["version"]) if "version" in asked else None
        chosen = await predictor.choose(Wanted(name, version, asked.get("alias")))
        answered = await predictor.classify(chosen, file, int(asked.get("top_k", "1")), within_s)
        spent = timing([answered])
        predictions = [_Prediction(label, score) for label, score in best(answered)]
        timing_ms = _Timing(spent.queue, spent.inference, spent.total)
        body = _encode(_Answer(chosen.target.model, chosen.target.version, predictions, timing_ms))
        return Found([_JSON, (b"content-length", b"%d" % len(body))], body)


def _query(raw: bytes) -> dict[str, str] | None:
    """The query's fields if each is there once and plain."""
    if not raw:
        return {}
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    asked = dict(pairs)
    plain = len(pairs) == len(asked) and all(name in _PLAIN and _PLAIN[name].fullmatch(asked[name]) for name in asked)
    return asked if plain and not {"version", "alias"} <= asked.keys() else None
