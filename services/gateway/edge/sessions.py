"""Browser sessions in requests: the cookie, and whether a request comes from one of the gateway's own pages."""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from contract.errors import Forbidden

SAFE = frozenset({"GET", "HEAD"})

_LOOPBACK = re.compile(r"localhost|([a-z0-9-]+\.)+localhost|127(\.\d{1,3}){3}|::1")


def cookie_name(headers: Headers, *, secure: bool) -> str:
    """Return the name of the cookie, with the port: browsers send cookies of one port to all ports of a host."""
    port = _host(headers).port
    name = "tidepool" if port is None else f"tidepool-{port}"
    return f"__Host-{name}" if secure else name


def session_of(headers: Headers, method: str) -> str:
    """Return the session's token, "" if there is none or the request has an API key.

    Raises Forbidden for a request that another site's page has sent.
    """
    if "cookie" not in headers or "authorization" in headers:
        return ""
    cookies = cookie_parser(headers["cookie"])
    token = next(filter(None, (cookies.get(cookie_name(headers, secure=secure)) for secure in (True, False))), "")
    if token:
        require_own_page(headers, method)
    return token


def require_own_page(headers: Headers, method: str) -> None:
    """Raise Forbidden for a request that does not come from a page of this gateway, or from the address bar.

    Browsers say so in Sec-Fetch-Site, and older ones in Origin, which is missing in many GET requests. Following a link
    from another site is allowed.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        followed = method in SAFE and headers.get("sec-fetch-mode") == "navigate"
        own = site in {"same-origin", "none"} or followed
    elif origin is not None:
        own = urlsplit(origin).netloc == headers.get("host")
    else:
        own = method in SAFE
    if not own:
        raise Forbidden("this request comes from another site's page; use the console's own pages, or an API key")


def is_secure(headers: Headers, scheme: str) -> bool:
    """Whether the browser uses HTTPS, to the gateway or to a proxy before it."""
    return scheme == "https" or headers.get("origin", "").startswith("https://")


def is_private(headers: Headers, scheme: str) -> bool:
    """Whether nobody between the browser and the gateway can read a cookie: by HTTPS, or on the same machine."""
    return is_secure(headers, scheme) or bool(_LOOPBACK.fullmatch(_host(headers).hostname or ""))


class _Host:
    """A Host header in parts; both are None if it cannot be parsed."""

    def __init__(self, text: str) -> None:
        self.hostname: str | None = None
        self.port: int | None = None
        try:
            parts = urlsplit(f"//{text}")
            self.hostname, self.port = parts.hostname, parts.port
        except ValueError:
            return


def _host(headers: Headers) -> _Host:
    return _Host(headers.get("host", ""))
