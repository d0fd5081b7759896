"""The interface of shortcuts: kinds of requests that are answered without the framework."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response

from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The body of an answer, and its headers except for the request id."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


class Call(Protocol):
    """One request that a shortcut has taken."""

    route: str
    """Its path with placeholders, for the metrics."""

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        """Pass the request to the batcher; return the function that abandons it. Raises errors of contract.errors."""

    def render(self, answer: BatchedAnswer) -> Rendered:
        """Return the answer as the endpoint would; raises errors of contract.errors."""

    def refuse(self, error: Exception) -> Response:
        """Return the error as the endpoint would."""


Opener = Callable[[int], Call | None]
"""Gets the size of a body and returns the call; None if its key or its model is not cached and needs the database."""


class Shortcut(Protocol):
    """One kind of request."""

    def match(self, path: str, query: bytes, headers: Headers) -> Opener | None:
        """Return what opens the call, or None for a request that the framework has to handle, as it is unusual.

        The result counts for further requests that differ in their body and its size only.
        """
