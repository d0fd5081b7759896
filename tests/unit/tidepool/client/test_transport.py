from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.http_server import Handler, answering
from tidepool.client.transport import RETRIES, Transport
from tidepool.errors import ApiError


def responding(responses: Iterable[httpx.Response]) -> tuple[Transport, list[httpx.Request]]:
    """Return a transport that gets these responses in order, and the list of its requests."""
    requests: list[httpx.Request] = []
    queue = iter(responses)

    def respond(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        return next(queue)

    return Transport("http://tidepool", "tp_key", httpx.MockTransport(respond)), requests


def busy(status: int = 503, **headers: str) -> httpx.Response:
    problem = {"status": status, "code": "overloaded", "title": "Unavailable", "detail": "too much", "request_id": "r1"}
    return httpx.Response(status, json=problem, headers=headers)


def test_the_api_key_is_sent() -> None:
    transport, requests = responding([httpx.Response(200, json={"name": "me"})])
    assert transport.call("GET", "/v1/me") == {"name": "me"}
    assert requests[0].headers["Authorization"] == "Bearer tp_key"


def test_a_response_without_a_body_is_none() -> None:
    transport, _ = responding([httpx.Response(204)])
    assert transport.call("DELETE", "/v1/keys/1") is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_is_retried_after_retry_after(status: int) -> None:
    transport, requests = responding([busy(status, **{"Retry-After": "0"}), httpx.Response(200, json=1)])
    assert transport.call("POST", "/v1/jobs", json={"a": 1}) == 1
    assert [request.content for request in requests] == [b'{"a":1}', b'{"a":1}']


def test_retries_are_limited() -> None:
    transport, requests = responding(busy(**{"Retry-After": "0"}) for _ in range(100))
    with pytest.raises(ApiError):
        transport.call("GET", "/v1/me")
    assert len(requests) == RETRIES + 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}])
def test_a_request_is_not_retried_without_a_valid_retry_after(headers: dict[str, str]) -> None:
    transport, requests = responding([busy(**headers)])
    with pytest.raises(ApiError):
        transport.call("GET", "/v1/me")
    assert len(requests) == 1


def test_problem_details_become_an_error() -> None:
    transport, _ = responding([busy()])
    with pytest.raises(ApiError) as caught:
        transport.call("GET", "/v1/me")
    error = caught.value
    assert (error.status, error.code, error.message, error.request_id) == (503, "overloaded", "too much", "r1")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_an_error_response_without_problem_details_becomes_an_error(body: bytes) -> None:
    transport, _ = responding([httpx.Response(502, content=body)])
    with pytest.raises(ApiError, match=r"Bad Gateway \(502 http\)"):
        transport.call("GET", "/v1/me")


def test_a_failed_connection_becomes_an_error() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ApiError, match="does not answer") as caught:
        Transport("http://tidepool", "tp_key", httpx.MockTransport(refuse)).call("GET", "/v1/me")
    assert caught.value.code == "unreachable"


def test_a_certificate_that_is_not_trusted_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Me(Handler):
        def do_GET(self) -> None:
            self.answer(200, b"{}")

    authority = Authority(tmp_path)
    with answering(Me, authority.issue().server_context) as port:
        transport = Transport(f"https://127.0.0.1:{port}", "tp_key")
        with pytest.raises(ApiError, match=r"is not trusted here: .*certificate.* set SSL_CERT_FILE to the PEM file"):
            transport.call("GET", "/v1/me")

        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert Transport(f"https://127.0.0.1:{port}", "tp_key").call("GET", "/v1/me") == {}
