"""A call of the fast path that counts for the quotas of its project."""

from starlette.responses import Response

from contract.access import Caller
from services.gateway.edge.quotas import RequestQuotas
from services.gateway.fast_path.shortcut import Call, Rendered
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then


class LimitedCall:
    """Passes everything to another call, and counts from its begin to its end."""

    __slots__ = ("_call", "_caller", "_quotas", "route")

    def __init__(self, call: Call, caller: Caller, quotas: RequestQuotas) -> None:
        self.route = call.route
        self._call = call
        self._caller = caller
        self._quotas = quotas

    def begin(self, body: bytes, request_id: str, then: Then) -> Leave:
        """Begin the call, unless it is over a quota; raises QuotaExceeded, and what the call raises."""
        leave = self._quotas.enter(self._caller)

        def settle(outcome: BatchedAnswer | Exception) -> None:
            leave()
            then(outcome)

        try:
            self._quotas.check_seconds(self._caller)
            abandon = self._call.begin(body, request_id, settle)
        except BaseException:
            leave()
            raise

        def abandon_counted() -> None:
            leave()
            abandon()

        return abandon_counted

    def render(self, answer: BatchedAnswer) -> Rendered:
        return self._call.render(answer)

    def refuse(self, error: Exception) -> Response:
        return self._call.refuse(error)


def limited(call: Call, caller: Caller, quotas: RequestQuotas) -> Call | None:
    """Return the call of a project with quotas; None if a quota has to be read from the database first."""
    return LimitedCall(call, caller, quotas) if quotas.knows_seconds(caller) else None
