"""The short way of POST /v2/models/{model}/infer."""

import re

from starlette.responses import Response

from contract.inference import Target
from contract.references import REFERENCE_PATTERN
from services.gateway.dependencies import Backends
from services.gateway.edge.problems import problem_of
from services.gateway.fast_path.shortcut import Call, Found, Headers, may_predict
from services.gateway.oip.binary_codec import Wanted, decode, encode
from services.gateway.oip.infer import LARGE, UNUSUAL, json_size_of
from services.gateway.oip.refusals import refusal_of
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import Answered, Then
from services.gateway.serving.dataplane import DataPlane, inferred
from services.gateway.serving.served import Served
from services.gateway.serving.traffic import Traffic

_PATH = re.compile(rf"/v2/models/({REFERENCE_PATTERN[1:-1]})(?:/versions/([^/]+))?/infer")


class InferShortcut:
    """Takes what is not compressed and has little JSON, for a model that was asked a moment ago."""

    def __init__(self, behind: Backends) -> None:
        self._behind = behind
        self._plane = behind.plane

    def match(self, path: str, query: bytes, headers: Headers) -> Call | None:
        found = _PATH.fullmatch(path)
        if found is None or query or not UNUSUAL.isdisjoint(headers):
            return None
        size = headers.get(b"inference-header-content-length", headers[b"content-length"])
        if not size.isdigit() or int(size) > LARGE or not may_predict(self._behind, headers):
            return None
        traffic = self._plane.peek(found[1], found[3] or "")
        json_size = json_size_of(headers.get(b"inference-header-content-length", b""))
        return None if traffic is None else InferCall(self._plane, traffic, json_size)


class InferCall:
    """Answers as the endpoint does."""

    __slots__ = ("_json_size", "_plane", "_target", "_traffic", "_wanted")

    route = "/v2/models/{model}/infer"

    def __init__(self, plane: DataPlane, traffic: Traffic[Served], json_size: int | None) -> None:
        self._plane = plane
        self._traffic = traffic
        self._json_size = json_size

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        self._wanted: Wanted = decode(body, self._json_size)
        tensors, within_s = self._wanted.tensors, self._wanted.timeout_s or self._plane.within_s
        self._target: Target = self._plane.pin(self._traffic, tensors, within_s)
        return self._plane.asker.post(self._target, tensors, within_s, request_id, then)

    def found(self, answered: Answered) -> Found:
        encoded = encode(inferred(self._target, answered), self._wanted)
        return Found(encoded.headers, encoded.body)

    def refuse(self, error: Exception) -> Response:
        return refusal_of(problem_of(error))
