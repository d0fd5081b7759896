"""The only place that decides which requests take a short way, in front of the framework; see docs/adr/0020."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.gateway.edge.request_id import request_id_of
from services.gateway.fast_path.exchange import Exchange
from services.gateway.fast_path.shortcut import BEARER, Call, Headers, Shortcut


class HotProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which answers what a shortcut matches, and passes everything else to the application.

    Whatever is unusual about a request, a wrong query for example, is for the endpoint to refuse; what is not known
    without a look into the database is for the endpoint to look up.
    """

    def __init__(self, largest: int, shortcuts: tuple[Shortcut, ...], **given: Any) -> None:
        """A short way takes bodies of at most `largest` bytes."""
        super().__init__(**given)
        self._largest = largest
        self._shortcuts = shortcuts

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        headers = dict(self.headers)
        call = self._match(headers) if self._plain(headers) else None
        if call is None:
            self._pass_on()
            return
        request_id, length = request_id_of(headers.get(b"x-request-id")), int(headers[b"content-length"])
        self.cycle = cast(RequestResponseCycle, Exchange(self, call, request_id, length))

    def _pass_on(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def _plain(self, headers: Headers) -> bool:
        """Whether the request comes alone and has a key, and a body that is announced and not too large."""
        length = headers.get(b"content-length", b"")
        return (
            self.parser.get_method() == b"POST"
            and headers.get(b"authorization", b"").startswith(BEARER)
            and length.isdigit()
            and 0 < int(length) <= self._largest
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
