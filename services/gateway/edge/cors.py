"""Cross-origin requests: off unless TIDEPOOL_CORS_ORIGINS or a key names origins whose pages may call the API."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.errors import Forbidden
from services.gateway.edge.origins import Origins
from services.gateway.edge.problems import answer
from services.gateway.edge.request_id import named, request_id_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Idempotency-Key",
    "If-None-Match",
    "Inference-Header-Content-Length",
    "Last-Event-ID",
    "Tidepool-Project",
    "X-Request-ID",
    "X-Request-Timeout",
    "X-Tidepool-No-Review",
    "traceparent",
)
EXPOSED = (
    "Allow",
    "Content-Disposition",
    "ETag",
    "Inference-Header-Content-Length",
    "Location",
    "Retry-After",
    "Tidepool-Quota",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-Trace-Id",
)
_REFUSED = "Disallowed CORS "  # how Starlette's refusal of a preflight begins


class Cors(CORSMiddleware):
    """ASGI middleware that answers preflights, and tells browsers that pages of these origins may read answers.

    Keys are sent in a header that the page sets, so credentials that a browser adds by itself, such as cookies, stay
    forbidden.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        super().__init__(
            app,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            allow_private_network=True,
            expose_headers=EXPOSED,
        )
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is not None:
            await self._origins.refresh(origin)
        await (super().__call__ if self._origins else self.app)(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return origin in self._origins

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; a refusal is a problem, like every other error."""
        response = super().preflight_response(request_headers)
        request_id = request_id_of(request_headers.get("x-request-id", "").encode("latin-1"))
        if response.status_code != 200:
            parts = bytes(response.body).decode().removeprefix(_REFUSED)
            with named(request_id):
                refusal = answer(403, Forbidden.code, f"this cross-origin request is refused, because of its {parts}")
            refusal.headers["Vary"] = response.headers["Vary"]
            response = refusal
        response.headers["X-Request-ID"] = request_id
        return response


def answer_headers(origins: Origins, origin: str | None = None) -> list[tuple[bytes, bytes]]:
    """Return what Cors adds to an answer for a page of a listed origin, or of none; nothing if no origin is listed."""
    if not origins:
        return []
    headers = MutableHeaders(raw=[])
    if origin is None:
        headers["Vary"] = "Origin"
    else:
        cors = Cors(_no_app, origins)
        headers.update(cors.simple_headers)
        cors.allow_explicit_origin(headers, origin)
    return headers.raw


async def _no_app(*_: object) -> None: ...
