"""The only place where an error becomes an answer: RFC 9457 problem+json with a stable code."""

import http
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contract.base import Frozen
from contract.errors import Invalid, Malformed, TidepoolError
from services.gateway.request_id import current_request_id

log = structlog.get_logger()

RETRY_AFTER_S = "2"


class Fault(Frozen):
    """One thing to change in a request, and where."""

    where: str
    message: str


class Problem(Frozen):
    """What every answer over 399 looks like."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: tuple[Fault, ...] = ()


def answer(status: int, code: str, detail: str, errors: tuple[Fault, ...] = ()) -> JSONResponse:
    """A problem as a response."""
    title = http.HTTPStatus(status).phrase
    problem = Problem(
        title=title, status=status, code=code, detail=detail, request_id=current_request_id(), errors=errors
    )
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": RETRY_AFTER_S}}.get(status)
    return JSONResponse(problem.model_dump(mode="json"), status, headers=headers, media_type="application/problem+json")


def on_tidepool_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TidepoolError)  # noqa: S101  the handler is registered for nothing else
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request failed", code=error.code, exc_info=error)
    return answer(error.status, error.code, error.message)


def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return answer(400, Malformed.code, "the body is not JSON")
    faults = tuple(Fault(where=place(e["loc"], error.body), message=e["msg"]) for e in error.errors())[:20]
    first = faults[0]
    return answer(422, Invalid.code, f"{first.where}: {first.message}" if first.where else first.message, faults)


def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods, bodies it cannot parse."""
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {404: "no_such_path", 405: "method_not_allowed", 400: Malformed.code}
    response = answer(error.status_code, codes.get(error.status_code, "refused"), str(error.detail))
    response.headers.update(error.headers or {})
    return response


def on_any_error(_: Request, error: Exception) -> JSONResponse:
    log.error("request failed", code=TidepoolError.code, exc_info=error)
    return answer(500, TidepoolError.code, "an internal error; the gateway's log has it under this request_id")


def place(location: tuple[int | str, ...], body: Any) -> str:
    """Write a pydantic location as a path into the body, `spec.layers[1]`, without the tags of unions."""
    where, node = "", body
    for index, part in enumerate(location):
        if index == 0 and part in ("body", "query", "path", "header"):
            where = "" if part == "body" else str(part)
        elif isinstance(part, int):
            where += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
        elif isinstance(node, dict) and part in node:
            where += f".{part}"
            node = node[part]
        elif (index == len(location) - 1 and isinstance(node, dict)) or body is None or location[0] != "body":
            where += f".{part}"
    return where.lstrip(".")


def add_problem_handlers(app: FastAPI) -> None:
    """Register a handler for everything that can be raised."""
    app.add_exception_handler(TidepoolError, on_tidepool_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_any_error)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route documents besides the ones that any route may answer."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": content}
        for status in sorted({400, 401, 403, 422, 500, 503, *statuses})
    }
