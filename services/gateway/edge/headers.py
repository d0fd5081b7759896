"""Security headers, the same on every answer: of the framework, of the fast path, and of the connection itself."""

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.edge.cors import answer_headers
from services.gateway.edge.origins import Origins

RawHeader = tuple[bytes, bytes]

MAX_ENCODED = 1000

_POLICY = b"content-security-policy"
_COMMON: tuple[RawHeader, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),  # answers have keys and presigned URLs; an endpoint may set another value
)
_API: RawHeader = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
_DOCS: RawHeader = (
    _POLICY,
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_HTTPS: RawHeader = (b"strict-transport-security", b"max-age=31536000")
_DOCS_PATH = re.compile(r"/docs(/.*)?")


def security_headers(*, https: bool, docs: bool = False) -> tuple[RawHeader, ...]:
    """Return the headers of an answer, or of a page of the documentation, which loads scripts and styles."""
    return (*_COMMON, _DOCS if docs else _API, *([_HTTPS] if https else []))


class SecurityHeaders:
    """ASGI middleware that adds the headers which an answer does not have yet."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._api = security_headers(https=https)
        self._docs = security_headers(https=https, docs=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        defaults = self._docs if _DOCS_PATH.fullmatch(scope["path"]) else self._api

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                names = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *(header for header in defaults if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class EncodedHeaders:
    """The security and CORS headers as bytes, for answers that do not pass the framework."""

    def __init__(self, *, https: bool, origins: Origins) -> None:
        self._security = security_headers(https=https)
        self._origins = origins
        self._encoded: dict[str | None, bytes] = {}  # by origin that may call; None for others
        self._closed = encode_headers(self._security)

    def of(self, origin: bytes | None) -> bytes:
        """Return the headers of the answer to a request with this Origin header."""
        if not self._origins:
            return self._closed
        name = None if origin is None else origin.decode("latin-1")
        name = name if name in self._origins else None
        headers = self._encoded.get(name)
        if headers is None:
            if len(self._encoded) >= MAX_ENCODED:  # keys may come and go
                self._encoded.clear()
            headers = self._encoded[name] = encode_headers([*self._security, *answer_headers(self._origins, name)])
        return headers


def encode_headers(headers: Collection[RawHeader]) -> bytes:
    """Return headers as they stand in an answer."""
    return b"".join(b"%s: %s\r\n" % header for header in headers)
