"""The fast path of POST /v2/models/{model}/infer."""

import re
from functools import partial

from starlette.responses import Response

from contract.access import Scope
from contract.references import REFERENCE_PATTERN
from services.gateway.dependencies import Backends
from services.gateway.edge.problems import problem_of
from services.gateway.fast_path.limited import limited
from services.gateway.fast_path.shortcut import Call, Headers, Opener, Rendered
from services.gateway.oip.binary_codec import ParsedRequest, decode, encode
from services.gateway.oip.infer import LARGE, UNUSUAL, json_size_of
from services.gateway.oip.refusals import refusal_of
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.dataplane import DataPlane, inferred
from services.gateway.serving.routing import Routing
from services.gateway.serving.served import Served

MAX_DIGITS = 18  # of a size

_PATH = re.compile(rf"/v2/models/({REFERENCE_PATTERN[1:-1]})(?:/versions/([^/]+))?/infer")


class InferShortcut:
    """Takes uncompressed requests with little JSON, if their key and their model are cached."""

    def __init__(self, backends: Backends) -> None:
        self._access = backends.access
        self._plane = backends.plane
        self._quotas = backends.quotas

    def match(self, path: str, query: bytes, headers: Headers) -> Opener | None:
        match = _PATH.fullmatch(path)
        if match is None or query or not UNUSUAL.isdisjoint(headers):
            return None
        size = headers.get(b"inference-header-content-length", b"")
        if size and (not size.isdigit() or len(size) > MAX_DIGITS):
            return None
        model, key = (match[1], match[3] or ""), (headers.get(b"authorization"), headers.get(b"origin"))
        return partial(self._open, model, key, json_size_of(size))

    def _open(
        self, model: tuple[str, str], key: tuple[bytes | None, bytes | None], json_size: int | None, length: int
    ) -> Call | None:
        if (length if json_size is None else json_size) > LARGE:
            return None
        authorization, origin = key
        caller = self._access.peek(authorization, Scope.PREDICT, origin)
        if caller is None:
            return None
        routing = self._plane.peek(caller.project, *model)
        if routing is None:
            return None
        call = InferCall(self._plane, routing, json_size)
        return call if caller.quotas is None else limited(call, caller, self._quotas)


class InferCall:
    """One inference."""

    __slots__ = ("_json_size", "_plane", "_request", "_routing", "_served")

    route = "/v2/models/{model}/infer"

    def __init__(self, plane: DataPlane, routing: Routing[Served], json_size: int | None) -> None:
        self._plane = plane
        self._routing = routing
        self._json_size = json_size

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        self._request: ParsedRequest = decode(body, self._json_size)
        tensors, timeout_s = self._request.tensors, self._request.timeout_s
        served, leave = self._plane.post(self._routing, tensors, timeout_s, request_id, then)
        self._served: Served = served
        return leave

    def render(self, answer: BatchedAnswer) -> Rendered:
        encoded = encode(inferred(self._served, answer), self._request)
        return Rendered(encoded.headers, encoded.body)

    def refuse(self, error: Exception) -> Response:
        return refusal_of(problem_of(error))
