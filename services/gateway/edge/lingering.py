"""A connection that ends so that a client which is still sending can read why."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

from prometheus_client import Counter
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from contract.errors import TidepoolError
from services.gateway.edge.problems import answer
from services.gateway.edge.request_id import named, request_id_of

REFUSED = Counter("tidepool_connections_refused_total", "Connections closed for a limit or a deadline.", ["code"])

CommonHeaders = Callable[[bytes | None], bytes]  # of the answer to a request with this Origin header, encoded

LINGER_S = 2.0  # for the client to read its answer and to close the connection
LINGER_BYTES = 1 << 20  # that are received and dropped meanwhile


class LingeringProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that does not close a connection at once while the client sends.

    A socket that is closed with unread bytes is reset, which can destroy the answer on its way. So the connection only
    ends its own side, and drops what it receives, until the client closes it or LINGER_S have passed.
    """

    def __init__(self, common: CommonHeaders, **arguments: Any) -> None:
        """`common` returns the headers of every answer; `arguments` are uvicorn's."""
        super().__init__(**arguments)
        self._common = common
        self.in_body = False
        self.lingering = False
        self._timer: asyncio.TimerHandle | None = None
        self._dropped_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether there is no request, or only the headers of one."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        if self.lingering:
            self._drop(data)
        else:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.in_body, self._dropped_bytes = True, 0
        self.cycle.transport = cast(asyncio.Transport, Output(self))

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._drop(body)

    def on_message_complete(self) -> None:
        self.in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.lingering:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.clear_timer()
        super().connection_lost(exc)

    def set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` after this time, in place of an earlier timer."""
        self.clear_timer()
        self._timer = self.loop.call_later(seconds, action)

    def clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def refuse(self, error: TidepoolError) -> None:
        """Answer the error, unless another answer has begun; end the request in progress and the connection."""
        if self.lingering or self.transport.is_closing():
            return
        REFUSED.labels(error.code).inc()
        cycle = self.cycle
        if self.is_idle and not self.in_body:
            self.transport.write(self.encoded(error))
        elif not self.is_idle:
            if self.in_body and not self.pipeline and not getattr(cycle, "response_started", False):
                self.transport.write(self.encoded(error))
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        self.linger()

    def encoded(self, error: TidepoolError) -> bytes:
        """Return an error as an answer after which the connection ends."""
        request_id = request_id_of(None)
        with named(request_id):
            problem: Response = answer(error.status, error.code, error.message)
        headers = (*self.server_state.default_headers, *problem.raw_headers, (b"connection", b"close"))
        origin = dict(self.headers or ()).get(b"origin")  # of what has arrived of the request
        return encode_answer(error.status, headers, self._common(origin), request_id, bytes(problem.body))

    def close(self) -> None:
        """End the connection after an answer."""
        if self.in_body:
            self.linger()
        else:
            self.transport.close()

    def linger(self) -> None:
        """End this side of the connection, and the whole connection soon."""
        if self.lingering or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.lingering, self._dropped_bytes = True, 0
        self.transport.write_eof()
        self.flow.resume_reading()
        self.set_timer(LINGER_S, self.transport.close)

    def _drop(self, data: bytes) -> None:
        self._dropped_bytes += len(data)
        if self._dropped_bytes <= LINGER_BYTES:
            return
        if self.lingering:
            self.transport.close()
        else:  # the client sends on, although it has its answer
            self.linger()


class Output:
    """The transport as a response uses it."""

    __slots__ = ("_connection",)

    def __init__(self, connection: LingeringProtocol) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        if not self._connection.lingering:
            self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.lingering or self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.close()


def encode_answer(
    status: int, headers: Iterable[tuple[bytes, bytes]], common: bytes, request_id: str, body: bytes
) -> bytes:
    """Return an answer as it is written to a connection; `common` are headers that are encoded already."""
    parts = [STATUS_LINE[status], common]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (b"x-request-id: ", request_id.encode(), b"\r\n\r\n", body)
    return b"".join(parts)
