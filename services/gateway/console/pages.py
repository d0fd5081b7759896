"""Renders templates as answers, with the headers that all pages have."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract.errors import TooLarge
from contract.sampling import ReviewSampling
from services.gateway.console.assets import asset
from services.gateway.console.formats import FILTERS
from services.gateway.console.viewer import Viewer

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # an Origin header and no address to other sites; with no-referrer, forms would send `Origin: null`
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Cookie, HX-Request",
}
MAX_FORM = 64 << 10  # bytes
MAX_FIELDS = 1000
NOTICE = "tidepool-notice"  # the cookie of a sentence that the next page shows


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals |= {"asset": asset, "default_sampling": ReviewSampling()}
    return environment


def page(
    request: Request, viewer: Viewer, template: str, *, screen: str, status: int = HTTPStatus.OK, **context: Any
) -> Response:
    """Render a template that extends `layout.html`; `screen` is the entry of the navigation that is marked."""
    notice = unquote(request.cookies.get(NOTICE, ""))
    shell = {
        "viewer": viewer,
        "project": viewer.caller.project,
        "counts": viewer.counts(),
        "projects": viewer.project_names(),
        "screen": screen,
        "notice": notice,
        "path": request.url.path,
    }
    response = plain_page(template, status, **(shell | context))
    if notice:
        response.delete_cookie(NOTICE, httponly=True, samesite="strict")
    return response


def plain_page(template: str, status: int = HTTPStatus.OK, **context: Any) -> Response:
    """Render a template that does not show a project."""
    return HTMLResponse(_environment().get_template(template).render(context), int(status), HEADERS)


def redirect(to: str, notice: str = "") -> Response:
    """Send the browser to one of the console's pages, which shows the notice once."""
    response = RedirectResponse(to, int(HTTPStatus.SEE_OTHER))
    if notice:
        response.set_cookie(NOTICE, quote(notice), max_age=30, httponly=True, samesite="strict")
    return response


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; of repeated ones the last. Raises TooLarge: parsing blocks other requests."""
    body = await request.body()
    if len(body) > MAX_FORM or body.count(b"&") >= MAX_FIELDS:
        raise TooLarge(f"a form may have at most {MAX_FORM} bytes and {MAX_FIELDS} fields")
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
