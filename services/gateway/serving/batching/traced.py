"""The spans of a traced request in the batcher: one while it waits, and one while its batch is in flight."""

from contract.errors import TidepoolError
from contract.inference import Target
from contract.tracing import Attributes, Span


class Traced:
    """The span of what a request is doing now, within the span of the HTTP request or gRPC call."""

    __slots__ = ("_parent", "_span")

    def __init__(self, parent: Span) -> None:
        self._parent = parent
        self._span = parent.child("wait for a batch")

    def depart(self, batch_id: str, size: int, target: Target) -> str:
        """End the wait; return the `traceparent` that the replica continues."""
        self._span.end()
        attributes: Attributes = {
            "tidepool.batch.id": batch_id,
            "tidepool.batch.size": size,
            "tidepool.model": target.label,
            "tidepool.model.version": target.version,
        }
        self._span = self._parent.child("batch in flight", attributes)
        return self._span.context.header

    def end(self, outcome: object = None) -> None:
        """End with the request and its outcome; further calls do nothing."""
        if isinstance(outcome, TidepoolError):
            self._span.end(outcome.code)
        else:
            self._span.end(TidepoolError.code if isinstance(outcome, Exception) else "")
