"""The HTTP protocol that answers plain requests in the connection, before the framework; see docs/adr/0020."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from services.gateway.edge import access
from services.gateway.edge.byte_budget import FREE, ByteBudget
from services.gateway.edge.connection import BoundedProtocol
from services.gateway.edge.headers import EncodedHeaders
from services.gateway.edge.request_id import request_id_of
from services.gateway.fast_path.exchange import Exchange
from services.gateway.fast_path.shortcut import Call, Headers, Shortcut
from services.gateway.settings import GatewaySettings

PROJECT_HEADER = access.PROJECT_HEADER.lower().encode()


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

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def begin_request(self) -> None:
        headers = dict(self.headers)
        call = self._match(headers) if self._plain(headers) else None
        length = int(headers[b"content-length"]) if call is not None else 0
        if call is None or (length > FREE and not self._budget.take(length)):
            self._pass_on()
            return
        request_id = request_id_of(headers.get(b"x-request-id"))
        self.in_body = True
        common = self._answer_headers.of(headers.get(b"origin"))
        self.cycle = cast(RequestResponseCycle, Exchange(self, call, request_id, length, common, self._budget))

    def _pass_on(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().begin_request()

    def _plain(self, headers: Headers) -> bool:
        """Return whether it is a POST that is not pipelined, with a body of a known and acceptable size."""
        length = headers.get(b"content-length", b"")
        return (
            self.parser.get_method() == b"POST"
            and len(headers) == len(self.headers)  # else one is repeated, and the last would count here
            and length.isdigit()
            and 0 < int(length) <= self._max_body
            and PROJECT_HEADER not in headers
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_http_version() == "1.1"
            and not (self.expect_100_continue or self.parser.should_upgrade() or self.flow.write_paused)
        )

    def _match(self, headers: Headers) -> Call | None:
        path, _, query = self.url.partition(b"?")
        for shortcut in self._shortcuts:
            if (call := shortcut.match(path.decode("latin-1"), query, headers)) is not None:
                return call
        return None
