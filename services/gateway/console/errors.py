"""Errors as pages for browsers, and as problems for everyone else."""

import http
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from contract.errors import TidepoolError
from services.gateway.console.pages import plain_page, redirect
from services.gateway.console.viewer import SignedOut
from services.gateway.edge.problems import on_http_error, on_invalid_request, on_tidepool_error, problem_of
from services.gateway.edge.request_id import current_request_id

API = ("/v1/", "/v2", "/metrics", "/healthz", "/readyz", "/openapi.json")
TITLES = {
    400: "The request is not valid",
    403: "You are not allowed to do that",
    404: "There is nothing here",
    409: "That is not possible at the moment",
    422: "Something needs to be corrected",
    429: "Too many requests",
    503: "Tidepool is not ready",
}
ADVICE = {
    404: "It may have been deleted, or it belongs to another project.",
    503: "This is usually over in a moment. The page tries again by itself.",
}


def add_error_pages(app: FastAPI) -> None:
    """Let the error handlers answer browsers with pages; call it after `add_problem_handlers`."""
    app.add_exception_handler(TidepoolError, _on_tidepool_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def unexpected(scope: Scope, error: Exception) -> Response:
    """Return the answer to an error that no handler knows."""
    problem = problem_of(error)
    wanted = _wants_page(Request(scope))
    return _page_of(problem, "An internal error; the gateway's log has it under this request") if wanted else problem


def _on_tidepool_error(request: Request, error: Exception) -> Response:
    if isinstance(error, SignedOut):
        return _signed_out(request, error)
    problem = on_tidepool_error(request, error)
    return _page_of(problem, str(getattr(error, "message", ""))) if _wants_page(request) else problem


def _on_invalid_request(request: Request, error: Exception) -> Response:
    problem = on_invalid_request(request, error)
    return (
        _page_of(problem, "The address has a value that this page does not know.") if _wants_page(request) else problem
    )


def _on_http_error(request: Request, error: Exception) -> Response:
    problem = on_http_error(request, error)
    return _page_of(problem, "") if _wants_page(request) else problem


def _signed_out(request: Request, error: SignedOut) -> Response:
    target = f"/sign-in?next={quote(error.path, safe='')}" if error.path != "/" else "/sign-in"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": target})
    if not _wants_page(request):
        return on_tidepool_error(request, error)
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        # The browser keeps a SameSite=Strict cookie back when a link of another site is followed. The page that loads
        # itself again is our own, so the cookie comes with the second request, if there is one.
        return plain_page("again.html", path=error.path)
    return redirect(target)


def _wants_page(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith(API)


def _page_of(problem: Response, detail: str) -> Response:
    status = problem.status_code
    title = TITLES.get(status) or http.HTTPStatus(status).phrase
    response = plain_page(
        "error.html",
        status,
        code=status,
        title=title,
        detail=detail,
        advice=ADVICE.get(status, ""),
        request_id=current_request_id(),
    )
    for name in ("Retry-After", "Allow"):
        if name in problem.headers:
            response.headers[name] = problem.headers[name]
    return response
