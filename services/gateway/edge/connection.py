"""A connection that bounds what a client can make the gateway hold before its request is complete."""

import asyncio
import resource
from typing import Any, NoReturn, cast

import structlog
from uvicorn.protocols.http.flow_control import FlowControl

from contract.errors import HeadersTooLarge, Malformed, Overloaded, RequestTimeout, TidepoolError
from services.gateway.edge.byte_budget import ByteBudget
from services.gateway.edge.lingering import REFUSED, CommonHeaders, LingeringProtocol
from services.gateway.settings import GatewaySettings

log = structlog.get_logger()

BODY_STEP = 32 << 10  # bytes of a body, or its end, that must arrive within `body_timeout_s`
MANY_PIECES = 4096  # of a body, which then have SMALL_PIECE bytes on average, or more
SMALL_PIECE = 16
MAX_PIPELINED = 16  # requests that wait in one connection
GRACE_S = 0.05  # that an idle connection stays open after its time: what has arrived at a busy gateway is read first
SPARE = 64  # connections over the limit that get an answer
ONCE = {
    *(b"authorization", b"content-encoding", b"content-type", b"host", b"idempotency-key", b"origin"),
    *(b"inference-header-content-length", b"tidepool-project", b"x-request-timeout"),
    b"x-tidepool-no-review",
}
OTHER_FILES = 512  # open files of a gateway beside its clients' connections


class Flow(FlowControl):
    """Records that reading was paused, because the application is slower than the client."""

    was_paused = False

    def pause_reading(self) -> None:
        self.was_paused = True
        super().pause_reading()


class BoundedProtocol(LingeringProtocol):
    """uvicorn's HTTP protocol with limits on connections, headers and pipelines, and deadlines for headers and bodies.

    What breaks one is answered with a problem, and its connection ends. A connection whose client does not read its
    answer is ended as well, at once if there is no room for the answer beside others.
    """

    def __init__(self, settings: GatewaySettings, common: CommonHeaders, budget: ByteBudget, **arguments: Any) -> None:
        """`common` returns the headers of every answer; answers wait within `budget`; `arguments` are uvicorn's."""
        super().__init__(common, **arguments)
        self._settings = settings
        self._budget = budget
        self._unsent = 0  # bytes of answers that are held of the budget
        self._waiting = 0  # bytes that waited when the deadline of the client's reading was set
        self._read_timer: asyncio.TimerHandle | None = None
        self._error: TidepoolError | None = None  # raised in a callback of the parser
        self._pending_bytes = 0  # received since the parser last completed headers, a piece of a body, or a request
        self._body_bytes = 0  # received since the deadline of the body was set
        self._pieces = 0  # of the body, with `_piece_bytes` together
        self._piece_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        most = self._settings.max_connections
        if len(self.connections) > most + SPARE:
            transport.abort()
        elif len(self.connections) > most:
            self.refuse(Overloaded(f"{most} connections are open already; try again soon"))
        else:
            self.set_timer(self._settings.header_timeout_s, self._on_late_headers)

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        super().data_received(data)
        if self.lingering or self.transport.is_closing():
            return
        if self._pending_bytes > self._settings.max_header_bytes:  # of headers, trailers or chunk extensions
            self.refuse(self._too_large())
        elif self._timer is None and self.in_body:
            self._expect_body()
        elif self._timer is None and self.is_idle and self.timeout_keep_alive_task is None:
            self.set_timer(self._settings.header_timeout_s, self._on_late_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_waiting()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        super().pause_writing()
        size = self.transport.get_write_buffer_size()
        if self._unsent or self._budget.take(size):
            self._unsent = self._unsent or size
            self._expect_reading()
        else:
            REFUSED.labels(Overloaded.code).inc()
            self.transport.abort()

    def resume_writing(self) -> None:
        self._end_waiting()
        super().resume_writing()

    # Callbacks of the parser

    def on_headers_complete(self) -> None:
        """Check the headers, then begin the request."""
        settings = self._settings
        if len(self.headers) > settings.max_headers:
            self._fail(HeadersTooLarge(f"a request may have at most {settings.max_headers} headers"))
        if self._pending_bytes > settings.max_header_bytes and self._header_bytes() > settings.max_header_bytes:
            self._fail(self._too_large())
        if len(self.pipeline) >= MAX_PIPELINED:
            self._fail(Malformed(f"at most {MAX_PIPELINED} requests may wait in one connection"))
        self._pending_bytes = self._pieces = self._piece_bytes = 0
        self.clear_timer()
        self.begin_request()

    def begin_request(self) -> None:
        """Pass the request to the application; subclasses may answer it themselves."""
        names = [name for name, _ in self.headers if name in ONCE]
        if len(names) != len(set(names)):  # a proxy may have looked at another one than we would
            self._fail(Malformed("Authorization, Host, Content-Type and the like may be sent once; send each once"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        self._body_bytes += len(body)
        self._pieces += 1
        self._piece_bytes += len(body)
        if self._pieces > MANY_PIECES and self._piece_bytes < SMALL_PIECE * self._pieces:  # each costs as a large one
            self._fail(Malformed(f"the chunks of the body have fewer than {SMALL_PIECE} bytes; send larger ones"))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        self.clear_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that the parser refuses, or the error that a callback raised."""
        self.refuse(self._error or Malformed("the bytes are not an HTTP request"))

    def _fail(self, error: TidepoolError) -> NoReturn:
        self._error = error
        raise error

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(f"the headers of a request may have at most {self._settings.max_header_bytes} bytes")

    # Deadlines

    def _on_late_headers(self) -> None:
        self._timer = None
        if self._pending_bytes:
            seconds = self._settings.header_timeout_s
            self.refuse(RequestTimeout(f"the headers of the request did not arrive within {seconds:g} seconds"))
        else:  # browsers open connections in advance
            self.set_timer(GRACE_S, self._close_unused)

    def _close_unused(self) -> None:
        self._timer = None
        if self._pending_bytes:
            self.set_timer(self._settings.header_timeout_s, self._on_late_headers)
        else:
            self.transport.close()

    def _expect_reading(self) -> None:
        self._waiting = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(self._settings.body_timeout_s, self._on_reading_due)

    def _on_reading_due(self) -> None:
        if self.transport.get_write_buffer_size() + BODY_STEP > self._waiting:
            REFUSED.labels("answer_not_read").inc()
            self.transport.abort()
        else:
            self._expect_reading()

    def _end_waiting(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._budget.give(self._unsent)
        self._unsent, self._read_timer = 0, None

    def _expect_body(self) -> None:
        self._body_bytes, cast(Flow, self.flow).was_paused = 0, self.flow.read_paused
        self.set_timer(self._settings.body_timeout_s, self._on_body_due)

    def _on_body_due(self) -> None:
        if cast(Flow, self.flow).was_paused or self._body_bytes >= BODY_STEP:
            self._expect_body()
            return
        seconds = self._settings.body_timeout_s
        self.refuse(RequestTimeout(f"fewer than {BODY_STEP} bytes of the body arrived within {seconds:g} seconds"))


def within_file_limit(connections: int) -> int:
    """Raise this process's limit on open files for this many connections over HTTP and over gRPC; return how many fit.

    A process without free files could not open connections to its own servers either.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    files = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    except (OSError, ValueError):  # macOS has a limit of its own
        files = soft
    allowed = max(1, min(connections, (files - OTHER_FILES) // 2))
    if allowed < connections:
        log.warning("the limit on open files is too low for max_connections", files=files, connections=allowed)
    return allowed
