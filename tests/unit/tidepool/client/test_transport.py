from collections.abc import Iterable

import httpx
import pytest

from tidepool.client.transport import RETRIES, Transport
from tidepool.errors import ApiError


def answering(answers: Iterable[httpx.Response]) -> tuple[Transport, list[httpx.Request]]:
    """A transport that gets these answers one after the other, and the requests that it made."""
    asked: list[httpx.Request] = []
    queue = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        asked.append(request)
        return next(queue)

    return Transport("http://tidepool", "tp_key", httpx.MockTransport(answer)), asked


def busy(status: int = 503, **headers: str) -> httpx.Response:
    problem = {"status": status, "code": "overloaded", "title": "Unavailable", "detail": "too much", "request_id": "r1"}
    return httpx.Response(status, json=problem, headers=headers)


def test_the_key_is_sent() -> None:
    transport, asked = answering([httpx.Response(200, json={"name": "me"})])
    assert transport.call("GET", "/v1/me") == {"name": "me"}
    assert asked[0].headers["Authorization"] == "Bearer tp_key"


def test_an_answer_without_a_body() -> None:
    transport, _ = answering([httpx.Response(204)])
    assert transport.call("DELETE", "/v1/keys/1") is None


@pytest.mark.parametrize("status", [429, 503])
def test_it_comes_back_when_told_when(status: int) -> None:
    transport, asked = answering([busy(status, **{"Retry-After": "0"}), httpx.Response(200, json=1)])
    assert transport.call("POST", "/v1/jobs", json={"a": 1}) == 1
    assert [request.content for request in asked] == [b'{"a":1}', b'{"a":1}']


def test_it_gives_up_in_the_end() -> None:
    transport, asked = answering(busy(**{"Retry-After": "0"}) for _ in range(100))
    with pytest.raises(ApiError):
        transport.call("GET", "/v1/me")
    assert len(asked) == RETRIES + 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}])
def test_it_does_not_come_back_unasked(headers: dict[str, str]) -> None:
    transport, asked = answering([busy(**headers)])
    with pytest.raises(ApiError):
        transport.call("GET", "/v1/me")
    assert len(asked) == 1


def test_a_problem_becomes_an_error() -> None:
    transport, _ = answering([busy()])
    with pytest.raises(ApiError) as caught:
        transport.call("GET", "/v1/me")
    error = caught.value
    assert (error.status, error.code, error.message, error.request_id) == (503, "overloaded", "too much", "r1")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_an_answer_that_is_no_problem_becomes_an_error_too(body: bytes) -> None:
    transport, _ = answering([httpx.Response(502, content=body)])
    with pytest.raises(ApiError, match=r"Bad Gateway \(502 http\)"):
        transport.call("GET", "/v1/me")


def test_no_answer_becomes_an_error() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ApiError, match="does not answer") as caught:
        Transport("http://tidepool", "tp_key", httpx.MockTransport(refuse)).call("GET", "/v1/me")
    assert caught.value.code == "unreachable"
