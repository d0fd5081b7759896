"""Errors as answers: RFC 9457 problem+json with a stable code."""

import http
from collections.abc import Mapping
from functools import cache
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from prometheus_client import Counter
from pydantic import Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Route

from contract.base import Frozen
from contract.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    Invalid,
    Malformed,
    ObjectsUnavailable,
    Overloaded,
    QuotaExceeded,
    TidepoolError,
    UnsupportedMedia,
)
from services.gateway.edge.request_id import current_request_id
from services.gateway.edge.validation_errors import Fault, faults_of

log = structlog.get_logger()

PROBLEMS = Counter("tidepool_http_problems_total", "Requests answered with an error, by its code.", ["code"])

RETRY_AFTER_S = "2"
QUOTA_HEADER = "Tidepool-Quota"
COMPONENTS = "#/components/schemas/"


class Problem(Frozen):
    """The body of every response with status 400 or above."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: tuple[Fault, ...] = ()
    quota: str | None = Field(default=None, description="With the code `quota_exceeded`: the quota that is reached.")


def answer(status: int, code: str, detail: str, errors: tuple[Fault, ...] = ()) -> JSONResponse:
    """Return a problem as a response."""
    title = http.HTTPStatus(status).phrase
    problem = Problem(
        title=title, status=status, code=code, detail=detail, request_id=current_request_id(), errors=errors
    )
    later = {"Retry-After": RETRY_AFTER_S}
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: later, 503: later}.get(status)
    return _response(problem, headers)


def _response(problem: Problem, headers: Mapping[str, str] | None) -> JSONResponse:
    count_problem(problem.code)
    content = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, problem.status, headers=headers, media_type="application/problem+json")


def count_problem(code: str) -> None:
    """Count a refusal or an error in the metrics."""
    _counter(code).inc()


@cache
def _counter(code: str) -> Counter:
    return PROBLEMS.labels(code)


for _error in (TidepoolError, Overloaded, QuotaExceeded, DatabaseUnavailable, BrokerUnavailable, ObjectsUnavailable):
    _counter(_error.code)  # Prometheus does not see the first increase of a series that is new


def _quota_exceeded(error: QuotaExceeded) -> JSONResponse:
    title = http.HTTPStatus(error.status).phrase
    ids = {"code": error.code, "detail": error.message, "request_id": current_request_id(), "quota": error.quota}
    headers = {"Retry-After": str(error.retry_after_s), QUOTA_HEADER: error.quota}
    return _response(Problem(title=title, status=error.status, **ids), headers)


def problem_of(error: Exception) -> JSONResponse:
    """Convert an error to a response; an unexpected one is logged with its traceback, and its text is not shown."""
    if not isinstance(error, TidepoolError):
        log.error("request failed", code=TidepoolError.code, exc_info=error)
        return answer(500, TidepoolError.code, "an internal error; the gateway's log has it under this request_id")
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Overloaded):
        log.warning("request failed", code=error.code, exc_info=error)
    if isinstance(error, QuotaExceeded):
        return _quota_exceeded(error)
    return answer(error.status, error.code, error.message)


def on_tidepool_error(_: Request, error: Exception) -> JSONResponse:
    return problem_of(error)


def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return answer(400, Malformed.code, "the body is not JSON")
    if isinstance(error.body, bytes):  # FastAPI does not parse a body that is not declared as JSON
        return answer(415, UnsupportedMedia.code, "send the body as application/json")
    faults = faults_of(error.errors(), error.body)[:20]
    return answer(422, Invalid.code, f"{faults[0].where}: {faults[0].message}", faults)


def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Convert an error of the framework: an unknown path or method, a body that it cannot parse."""
    assert isinstance(error, HTTPException)  # noqa: S101
    headers, detail = dict(error.headers or {}), str(error.detail)
    codes = {404: "no_such_path", 405: "method_not_allowed", 400: Malformed.code}
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        detail = "there is no such path; /docs lists them all"
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
        detail = f"this path does not take {request.method}; it takes {headers['Allow']}"
    response = answer(error.status_code, codes.get(error.status_code, "refused"), detail)
    response.headers.update(headers)
    return response


def _methods(request: Request) -> set[str]:
    """Return the methods of every route at the request's path; the framework only returns those of the first."""
    routes = (route for route in iter_route_contexts(request.app.routes) if isinstance(route.original_route, Route))
    matching = [route for route in routes if route.path_regex.match(request.url.path)]
    # of /v1/reviews/next those that its own route has, not also those of /v1/reviews/{item_id}
    parameters = [(route.path or "").count("{") for route in matching]
    best = (route for route, count in zip(matching, parameters, strict=True) if count == min(parameters))
    return set().union(*(route.methods or set() for route in best))


def add_problem_handlers(app: FastAPI) -> None:
    """Register handlers for the errors that endpoints and the framework raise on purpose."""
    app.add_exception_handler(TidepoolError, on_tidepool_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses for these statuses, and for those that every route may return."""
    content = {"application/problem+json": {"schema": {"$ref": COMPONENTS + Problem.__name__}}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": content}
        for status in sorted({400, 401, 403, 422, 429, 500, 503, *statuses})
    }


def problem_schemas() -> dict[str, Any]:
    """Return the schemas that `documented` refers to, for the components of the OpenAPI document."""
    _, document = models_json_schema([(Problem, "serialization")], ref_template=COMPONENTS + "{model}")
    schemas: dict[str, Any] = document["$defs"]
    return schemas
