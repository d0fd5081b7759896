"""The only place that says what a short way is: a kind of request that is answered without the framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response

from contract.keys import Scope
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import Answered, Then

Headers = Mapping[bytes, bytes]

BEARER = b"Bearer "


@dataclass(frozen=True, slots=True)
class Found:
    """The body of an answer, and its headers but for the request's id."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


class Call(Protocol):
    """One request that a shortcut has taken."""

    route: str
    """Its path with placeholders, for the metrics."""

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        """Ask the batcher; raises errors of contract.errors."""

    def found(self, answered: Answered) -> Found:
        """The answer as the endpoint would give it; raises errors of contract.errors."""

    def refuse(self, error: Exception) -> Response:
        """An error as the endpoint would answer it."""


class Shortcut(Protocol):
    """One kind of request that is worth a short way."""

    def match(self, path: str, query: bytes, headers: Headers) -> Call | None:
        """The call, or None for a request that is another kind, in any way unusual, or not to be decided at once."""


def may_predict(behind: Backends, headers: Headers) -> bool:
    """Whether the key of a request is known, and may."""
    key = behind.keys.peek(headers[b"authorization"][len(BEARER) :].decode("latin-1"))
    return key is not None and key.allows(Scope.PREDICT)
