"""Reads an RFC 9457 problem from a response."""

import httpx

from services.gateway.edge.problems import Problem


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    """Return the problem of a response, after checking status, code, media type and request id."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = Problem.model_validate_json(response.content)
    assert (body.status, body.code) == (status, code)
    assert body.request_id == response.headers["x-request-id"]
    assert body.title
    assert body.detail
    return body
