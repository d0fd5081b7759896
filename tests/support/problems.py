"""The only place where tests read a problem from an answer."""

import httpx

from services.gateway.edge.problems import Problem


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    """The problem of an answer, checked against its status, code, media type and request id."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(response.content)
    assert (found.status, found.code) == (status, code)
    assert found.request_id == response.headers["x-request-id"]
    assert found.title
    assert found.detail
    return found
