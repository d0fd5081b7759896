"""One request of the fast path on its connection, and the answer to it."""

import time
from collections.abc import Callable

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.errors import Overloaded, QuotaExceeded
from contract.tracing import active
from services.gateway.edge.byte_budget import FREE, ByteBudget
from services.gateway.edge.lingering import encode_answer
from services.gateway.edge.request_id import named, record
from services.gateway.edge.traced_requests import TRACE_ID, answered, begin
from services.gateway.fast_path.refusals import refusal_of
from services.gateway.fast_path.shortcut import Call
from services.gateway.serving.batching.request import BatchedAnswer

log = structlog.get_logger()

LARGE = 1 << 16  # bytes; a smaller body mostly arrives in one piece, so appending to bytes is cheap
CLIENT_LEFT = 499  # nginx's status for a client that closed the connection


class Exchange:
    """Replaces uvicorn's RequestResponseCycle in a connection, without a task, a scope and a coroutine.

    The connection writes `body`, `more_body`, `keep_alive` and `disconnected`, and calls `message_event.set()` when
    one of them has changed.
    """

    __slots__ = ("_budget", "_call", "_common", "_connection", "_leave", "_length", "_since", "_span", "body",
                 "disconnected", "keep_alive", "more_body", "request_id", "response_complete")  # fmt: skip

    def __init__(
        self,
        connection: HttpToolsProtocol,
        call: Call,
        request_id: str,
        length: int,
        common: bytes,
        budget: ByteBudget,
        traceparent: bytes | None = None,
    ) -> None:
        """`common` are the encoded headers of every answer; `length` is the body's.

        A body of more than FREE bytes has been taken from the budget; it is given back at the end.
        """
        self.body: bytes | bytearray = b"" if length <= LARGE else bytearray()
        self.more_body = True
        self.keep_alive: bool = connection.parser.should_keep_alive()
        self.disconnected = False
        self.response_complete = False
        self.request_id = request_id
        self._connection = connection
        self._length = length
        self._budget = budget
        self._call = call
        self._common = common
        self._leave: Callable[[], None] | None = None
        self._since = time.perf_counter()
        self._span = begin("POST", traceparent)

    @property
    def message_event(self) -> "Exchange":
        return self

    def set(self) -> None:
        """Handle a change: more of the body, or a client that left."""
        if self.response_complete:
            return
        if self.disconnected:
            self._abandon()
        elif self.more_body:
            self._connection.flow.resume_reading()  # the body is bounded
        elif self._leave is None:
            self._begin()

    def _begin(self) -> None:
        body, self.body = bytes(self.body), b""  # else an idle connection would hold the body of its last request
        try:
            if self._span is None:
                self._leave = self._call.begin(body, self.request_id, self._settle)
            else:
                with active(self._span):
                    self._leave = self._call.begin(body, self.request_id, self._settle)
        except Exception as error:  # noqa: BLE001  like LastResort
            self._refuse(error)

    def _settle(self, outcome: BatchedAnswer | Exception) -> None:
        if isinstance(outcome, Exception):
            self._refuse(outcome)
            return
        try:
            rendered = self._call.render(outcome)
        except Exception as error:  # noqa: BLE001  like LastResort
            self._refuse(error)
        else:
            self._write(200, rendered.headers, rendered.body)

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, Overloaded):
            refusal = refusal_of(self._call, error, self.request_id)
            self._write(error.status, refusal.headers, refusal.body)
            return
        with named(self.request_id), active(self._span):
            response = self._call.refuse(error)
            if not isinstance(error, QuotaExceeded):
                log.info("request", method="POST", route=self._call.route, status=response.status_code)
        self._write(response.status_code, response.raw_headers, bytes(response.body))

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        connection = self._connection
        headers = [*connection.server_state.default_headers, *headers]
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        if self._span is not None:
            headers.append((TRACE_ID, self._span.context.trace_id.encode()))
        connection.transport.write(encode_answer(status, headers, self._common, self.request_id, body))
        self._end(status)
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def _abandon(self) -> None:
        if self._leave is not None:
            self._leave()
        self._end(CLIENT_LEFT)

    def _end(self, status: int) -> None:
        self.response_complete = True
        if self._length > FREE:
            self._budget.give(self._length)
        record("POST", self._call.route, status, time.perf_counter() - self._since)
        if self._span is not None:
            answered(self._span, "POST", self._call.route, status)
