"""The short way to refuse POST /v1/jobs: in an overload, refusals are most of what a gateway does."""

from starlette.responses import Response

from contract.errors import Overloaded
from services.gateway.edge.problems import problem_of
from services.gateway.edge.submit_limit import Submits
from services.gateway.fast_path.shortcut import Call, Found, Headers
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import Answered, Then


class SubmitShortcut:
    """Takes submits that are one too many; SubmitLimit would refuse them, too."""

    def __init__(self, submits: Submits) -> None:
        self._submits = submits

    def match(self, path: str, query: bytes, headers: Headers) -> Call | None:
        if path != Refused.route or (refusal := self._submits.refusal) is None:
            return None
        return Refused(refusal)


class Refused:
    """A submit that is read to its end and refused."""

    __slots__ = ("_refusal",)

    route = "/v1/jobs"

    def __init__(self, refusal: Overloaded) -> None:
        self._refusal = refusal

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        raise self._refusal

    def found(self, answered: Answered) -> Found:
        raise self._refusal

    def refuse(self, error: Exception) -> Response:
        return problem_of(error)
