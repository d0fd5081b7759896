"""The HTTP protocol that answers plain requests in the connection, before the framework; see docs/adr/0020."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from services.gateway.edge import access
from services.gateway.edge.byte_budget import FREE, ByteBudget
from services.gateway.edge.connection import GRACE_S, BoundedProtocol
from services.gateway.edge.headers import EncodedHeaders
from services.gateway.edge.request_id import request_id_of
from services.gateway.fast_path.exchange import Exchange
from services.gateway.fast_path.repeated_head import RepeatedHead
from services.gateway.fast_path.shortcut import Opener, Shortcut
from services.gateway.settings import GatewaySettings

PROJECT_HEADER = access.PROJECT_HEADER.lower().encode()
LENGTH = b"content-length"


class Matched:
    """A request that a shortcut takes. Clients mostly send further ones that differ in their body and its size only."""

    __slots__ = ("_at", "_headers", "_url", "opener", "origin", "request_id", "traceparent")

    def __init__(self, url: bytes, headers: list[tuple[bytes, bytes]], opener: Opener) -> None:
        values = dict(headers)
        self._url = url
        self._headers = headers
        self._at = list(values).index(LENGTH)
        self.opener = opener
        self.origin = values.get(b"origin")
        self.request_id = values.get(b"x-request-id")
        self.traceparent = values.get(b"traceparent")

    def fits(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether another request has the same URL and headers, except for the length of its body."""
        known, at = self._headers, self._at
        if headers == known:
            return url == self._url
        return (
            len(headers) == len(known)
            and headers[at][0] == LENGTH
            and headers[at][1].isdigit()
            and headers[:at] == known[:at]
            and headers[at + 1 :] == known[at + 1 :]
            and url == self._url
        )

    def length(self, headers: list[tuple[bytes, bytes]]) -> int:
        """Return the length of a body that fits."""
        return int(headers[self._at][1])


class FastPathProtocol(BoundedProtocol):
    """Answers the requests that a shortcut matches, and passes all others to the application.

    Everything unusual, such as an invalid query or a key that is not cached, goes to the application, so that the
    endpoints alone decide about errors.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        shortcuts: tuple[Shortcut, ...],
        answer_headers: EncodedHeaders,
        budget: ByteBudget,
        **arguments: Any,
    ) -> None:
        """Shortcuts get bodies of at most `max_predict_bytes`, together within `budget`; `arguments` are uvicorn's."""
        super().__init__(settings, answer_headers.of, budget, **arguments)
        self._max_body = settings.max_predict_bytes
        self._shortcuts = shortcuts
        self._answer_headers = answer_headers
        self._last: Matched | None = None
        self._head: RepeatedHead | None = None  # of the last request, if it came in one piece
        self._between_requests = True  # the parser has seen nothing of a further one
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take a request that has the head of the one before and came in one piece; the parser gets all other bytes."""
        at_start = self._between_requests and self.is_idle and not (self._pending_bytes or self.lingering)
        if at_start and self._take_repeated(data):
            return
        self._head = None
        super().data_received(data)
        if at_start and isinstance(self.cycle, Exchange):
            self._head = RepeatedHead.of(data)

    def on_message_begin(self) -> None:
        self._between_requests = False
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_message_complete(self) -> None:
        self._between_requests = True
        super().on_message_complete()

    def begin_request(self) -> None:
        matched = self._last
        if matched is None or not matched.fits(self.url, self.headers):
            matched = self._last = self._match()
        if matched is None or self._open(matched, matched.length(self.headers)) is None:
            self._pass_on()
        else:
            self.in_body = True

    def _take_repeated(self, data: bytes) -> bool:
        body = None if self._head is None else self._head.body_of(data)
        if body is None or self._last is None or (exchange := self._open(self._last, len(body))) is None:
            return False
        self._unset_keepalive_if_required()
        exchange.body, exchange.more_body = body, False
        exchange.set()
        return True

    def _open(self, matched: Matched, length: int) -> Exchange | None:
        """Begin an exchange for a request with a body of this length; None if the application has to answer it."""
        call = matched.opener(length) if self._plain(length) else None
        if call is None or (length > FREE and not self._budget.take(length)):
            return None
        request_id = request_id_of(matched.request_id)
        common = self._answer_headers.of(matched.origin)  # for each request: origins of keys come and go
        exchange = Exchange(self, call, request_id, length, common, self._budget, matched.traceparent)
        self.cycle = cast(RequestResponseCycle, exchange)
        return exchange

    def on_response_complete(self) -> None:
        """Wait for the next request, with one timer for as long as the connection is in use.

        uvicorn starts and cancels one for each request.
        """
        if self.lingering or self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)
        self.timeout_keep_alive_task = self._idle_timer

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def _unset_keepalive_if_required(self) -> None:
        self.timeout_keep_alive_task = None

    def _close_if_idle(self, after_grace: bool = False) -> None:
        self._idle_timer = None
        if self.timeout_keep_alive_task is None:  # a request is in progress
            return
        remaining = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._idle_timer = self.loop.call_later(remaining, self._close_if_idle)
        elif after_grace:
            self.timeout_keep_alive_handler()
            return
        else:
            self._idle_timer = self.loop.call_later(GRACE_S, self._close_if_idle, True)
        self.timeout_keep_alive_task = self._idle_timer

    def _pass_on(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().begin_request()

    def _plain(self, length: int) -> bool:
        """Return whether it is a POST that is not pipelined, with a body of an acceptable size."""
        return (
            self.parser.get_method() == b"POST"
            and 0 < length <= self._max_body
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_http_version() == "1.1"
            and not (self.expect_100_continue or self.parser.should_upgrade() or self.flow.write_paused)
        )

    def _match(self) -> Matched | None:
        """Return the shortcut that takes the request, as far as its URL and headers decide."""
        headers = dict(self.headers)
        if len(headers) < len(self.headers):  # one is repeated, and the last would count here
            return None
        if not headers.get(LENGTH, b"").isdigit() or PROJECT_HEADER in headers:
            return None
        path, _, query = self.url.partition(b"?")
        for shortcut in self._shortcuts:
            if (opener := shortcut.match(path.decode("latin-1"), query, headers)) is not None:
                return Matched(self.url, self.headers, opener)
        return None
