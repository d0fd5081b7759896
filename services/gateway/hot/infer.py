"""The short way of POST /v2/models/{model}/infer."""

import re
from functools import partial

from starlette.responses import Response
from starlette.types import Scope

from contract.references import REFERENCE_PATTERN
from services.gateway.dependencies import Backends
from services.gateway.hot.path import Answer, Found, Headers
from services.gateway.oip.infer import infer
from services.gateway.oip.refusals import refusal_of
from services.gateway.problems import problem_of

_PATH = re.compile(rf"/v2/models/({REFERENCE_PATTERN[1:-1]})(?:/versions/([^/]+))?/infer")


class InferShortcut:
    """Answers as the endpoint does."""

    route = "/v2/models/{model}/infer"

    def __init__(self, behind: Backends) -> None:
        self._behind = behind

    def match(self, scope: Scope, headers: Headers) -> Answer | None:
        path = _PATH.fullmatch(scope["path"])
        return None if path is None else partial(self._answer, headers, path[1], path[3] or "")

    def refuse(self, error: Exception) -> Response:
        return refusal_of(problem_of(error))

    async def _answer(self, headers: Headers, model: str, version: str, body: bytes) -> Found:
        limit = self._behind.settings.max_predict_bytes
        encoded = await infer(self._behind.plane, headers.items(), body, model, version, limit)
        return Found(encoded.headers, encoded.body)
