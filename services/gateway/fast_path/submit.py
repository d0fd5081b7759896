"""Refuses POST /v1/jobs cheaply in an overload, when most of the gateway's requests are refused."""

from starlette.responses import Response

from contract.errors import Overloaded
from services.gateway.edge.problems import problem_of
from services.gateway.edge.submit_limit import Submits
from services.gateway.fast_path.shortcut import Call, Headers, Opener, Rendered
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then


class SubmitShortcut:
    """Takes submits that SubmitLimit would refuse; docs/adr/0022 has the measured gain."""

    def __init__(self, submits: Submits, max_body: int) -> None:
        """A body of more than `max_body` bytes is not read; BodyLimit refuses it."""
        self._submits = submits
        self._max_body = max_body

    def match(self, path: str, query: bytes, headers: Headers) -> Opener | None:
        return self._open if path == RefusedSubmit.route else None

    def _open(self, length: int) -> Call | None:
        if (refusal := self._submits.refusal) is None or length > self._max_body:
            return None
        return RefusedSubmit(refusal)


class RefusedSubmit:
    """Reads the body of a submit, then refuses it."""

    __slots__ = ("_refusal",)

    route = "/v1/jobs"

    def __init__(self, refusal: Overloaded) -> None:
        self._refusal = refusal

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        raise self._refusal

    def render(self, answer: BatchedAnswer) -> Rendered:
        raise self._refusal

    def refuse(self, error: Exception) -> Response:
        return problem_of(error)
