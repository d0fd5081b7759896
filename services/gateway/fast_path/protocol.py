"""The HTTP protocol that answers plain requests in the connection, before the framework; see docs/adr/0020."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contract.errors import Malformed
from services.gateway.edge import access
from services.gateway.edge.headers import EncodedHeaders
from services.gateway.edge.problems import answer
from services.gateway.edge.request_id import named, request_id_of
from services.gateway.fast_path.exchange import Exchange, encode_answer
from services.gateway.fast_path.shortcut import Call, Headers, Shortcut

PROJECT_HEADER = access.PROJECT_HEADER.lower().encode()


class FastPathProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; it answers requests that a shortcut matches, and passes all others to the application.

    Everything unusual, such as an invalid query or a key that is not cached, goes to the application, so that the
    endpoints alone decide about errors.
    """

    def __init__(
        self, max_body: int, shortcuts: tuple[Shortcut, ...], answer_headers: EncodedHeaders, **arguments: Any
    ) -> None:
        """Shortcuts get bodies of at most `max_body` bytes; `arguments` are uvicorn's."""
        super().__init__(**arguments)
        self._max_body = max_body
        self._shortcuts = shortcuts
        self._answer_headers = answer_headers

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
        common = self._answer_headers.of(headers.get(b"origin"))
        self.cycle = cast(RequestResponseCycle, Exchange(self, call, request_id, length, common))

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP as a problem, with the headers of every answer, and close the connection."""
        request_id = request_id_of(None)
        with named(request_id):
            problem = answer(400, Malformed.code, "the bytes are not an HTTP request")
        headers = (*self.server_state.default_headers, *problem.raw_headers, (b"connection", b"close"))
        common = self._answer_headers.of(None)
        self.transport.write(encode_answer(400, headers, common, request_id, bytes(problem.body)))
        self.transport.close()

    def _pass_on(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def _plain(self, headers: Headers) -> bool:
        """Return whether it is a POST that is not pipelined, with a body of a known and acceptable size."""
        length = headers.get(b"content-length", b"")
        return (
            self.parser.get_method() == b"POST"
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
