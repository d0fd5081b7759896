"""Which requests the client sends again, after which pause, and which errors it raises."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.http_server import Handler, answering
from tidepool_client import (
    ApiError,
    Client,
    ClientError,
    Conflict,
    Invalid,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    ServerError,
    TooManyRequests,
    Unavailable,
    UnexpectedResponse,
    Unreachable,
    UntrustedCertificate,
    retries,
)
from tidepool_client._sync.client import RETRIES

KEY = {"id": "k1", "name": "me", "scopes": ["read"], "created_at": "2026-01-01T00:00:00Z"}
SECRET = KEY | {"secret": "shown once"}

Response = httpx.Response | httpx.HTTPError


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BASE_S", 0)


def responding(responses: Iterable[Response]) -> tuple[Client, list[httpx.Request]]:
    """Return a client that gets these responses in order, and the list of its requests."""
    requests: list[httpx.Request] = []
    queue = iter(responses)

    def respond(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        response = next(queue)
        if isinstance(response, httpx.HTTPError):
            raise response
        return response

    return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(respond)), requests


def problem(status: int, code: str = "overloaded", **headers: str) -> httpx.Response:
    body = {"status": status, "code": code, "title": "Unavailable", "detail": "too much", "request_id": "r1"}
    return httpx.Response(status, json=body, headers=headers)


def ok(body: object = KEY) -> httpx.Response:
    return httpx.Response(200, json=body)


def test_the_api_key_and_the_project_are_sent() -> None:
    requests: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: requests.append(request) or ok())
    Client("http://tidepool", "tp_key", project="lab", transport=transport).me()
    assert requests[0].headers["Authorization"] == "Bearer tp_key"
    assert requests[0].headers["Tidepool-Project"] == "lab"


def test_the_address_and_the_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_URL", "http://from-environment")
    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_secret")
    client = Client(transport=httpx.MockTransport(lambda request: ok(KEY | {"name": request.url.host})))
    assert client.me().name == "from-environment"


def test_without_an_address_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEPOOL_URL", raising=False)
    with pytest.raises(InvalidInput, match="TIDEPOOL_URL and TIDEPOOL_API_KEY"):
        Client(key="tp_key")


@pytest.mark.parametrize("url", ["localhost:8080", "http://", "ftp://tidepool", "http://a b:x", "127.0.0.1:8080"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="http://127"):
        Client(url, "tp_key")


@pytest.mark.parametrize("key", ["tp_…", "tp_one\ntp_two"])
def test_what_can_be_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match="copy it again"):
        Client("http://tidepool", key)


def test_whitespace_around_a_key_is_ignored() -> None:
    transport = httpx.MockTransport(lambda request: ok(KEY | {"id": request.headers["Authorization"]}))
    assert Client("http://tidepool", " tp_key\n", transport=transport).me().id == "Bearer tp_key"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_read_is_retried(status: int) -> None:
    client, requests = responding([problem(status), ok()])
    assert client.me().id == "k1"
    assert len(requests) == 2


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadError("cut"), httpx.ReadTimeout("slow")])
def test_a_read_is_retried_after_a_failed_connection(error: httpx.HTTPError) -> None:
    client, requests = responding([error, error, ok()])
    assert client.me().id == "k1"
    assert len(requests) == 3


def test_retries_are_limited() -> None:
    client, requests = responding(problem(503) for _ in range(100))
    with pytest.raises(Unavailable):
        client.me()
    assert len(requests) == RETRIES + 1


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (422, Invalid), (409, Conflict), (418, ApiError)])
def test_a_refusal_is_not_retried(status: int, kind: type[ApiError]) -> None:
    client, requests = responding([problem(status)])
    with pytest.raises(kind):
        client.me()
    assert len(requests) == 1


def test_a_prediction_whose_deadline_passed_is_not_retried() -> None:
    client, requests = responding([problem(504, "deadline_exceeded")])
    with pytest.raises(ServerError):
        client.predict("pets", b"image")
    assert len(requests) == 1


def test_a_conflict_is_retried_only_for_a_repetition() -> None:
    """The first request with the same Idempotency-Key may still be in progress."""
    job = {"kind": "train", "spec": {"dataset": "pets", "model": "pets"}}
    client, requests = responding([httpx.ReadError("cut"), problem(409, "conflict"), problem(422, "invalid")])
    with pytest.raises(Invalid):
        client.jobs.create(**job)
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert len(requests) == 3


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), problem(503)])
def test_what_cannot_be_repeated_is_not_sent_again_after_it_may_have_had_an_effect(error: Response) -> None:
    client, requests = responding([error, error])
    with pytest.raises(ClientError):
        client.projects.create("lab")
    with pytest.raises(ClientError):
        client.keys.create("ann", role="viewer")
    assert len(requests) == 2


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), problem(429)])
def test_what_cannot_be_repeated_is_sent_again_if_it_had_no_effect(error: Response) -> None:
    client, requests = responding([error, ok(SECRET)])
    assert client.keys.create("ann", role="viewer").secret == "shown once"
    assert len(requests) == 2


def test_a_repeated_deletion_that_finds_nothing_has_succeeded() -> None:
    client, requests = responding([httpx.ReadError("cut"), problem(404, "not_found")])
    client.keys.delete("k1")
    assert len(requests) == 2
    client, _ = responding([problem(404, "not_found")])
    with pytest.raises(NotFound):
        client.keys.delete("k1")


def test_pauses_grow_and_keep_to_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    # Only that of the module: other threads of the process sleep, too.
    monkeypatch.setattr("tidepool_client._sync.transport.time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr(retries, "BASE_S", 0.5)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    client, _ = responding([problem(503), problem(503), problem(429, **{"Retry-After": "7"}), ok()])
    client.me()
    assert pauses == [0.5, 1.0, 7 + 2.0]


def test_a_long_retry_after_is_raised_at_once() -> None:
    client, requests = responding([problem(429, "too_many_requests", **{"Retry-After": "86400"})])
    with pytest.raises(TooManyRequests) as caught:
        client.me()
    assert caught.value.retry_after == 86400
    assert len(requests) == 1


def test_an_exceeded_quota_is_named() -> None:
    body = {"code": "quota_exceeded", "detail": "the project has 20 live jobs", "quota": "live_jobs"}
    client, _ = responding([httpx.Response(429, json=body, headers={"Retry-After": "3600"})])
    with pytest.raises(QuotaExceeded) as caught:
        client.train("pets")
    assert (caught.value.quota, caught.value.retry_after) == ("live_jobs", 3600)


def test_problem_details_become_an_error() -> None:
    client, _ = responding([problem(404, "not_found")])
    with pytest.raises(NotFound) as caught:
        client.me()
    error = caught.value
    assert (error.status, error.code, error.message, error.request_id) == (404, "not_found", "too much", "r1")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_an_error_response_without_problem_details_becomes_an_error(body: bytes) -> None:
    client, _ = responding([httpx.Response(404, content=body)])
    with pytest.raises(NotFound, match=r"Not Found \(404 http\)"):
        client.me()


@pytest.mark.parametrize("body", [[], {}, {"items": [1], "next": None}, {"items": 3, "next": 4}])
def test_a_list_of_something_else_becomes_an_error(body: object) -> None:
    client, _ = responding([ok(body), ok(body)])
    for items in (client.datasets.list(), client.keys.list()):
        with pytest.raises(UnexpectedResponse, match="address"):
            list(items)


@pytest.mark.parametrize("response", [httpx.Response(200, content=b"<html>"), ok([1]), ok({"id": "k1"})])
def test_a_response_of_something_else_becomes_an_error(response: httpx.Response) -> None:
    client, _ = responding([response])
    with pytest.raises(UnexpectedResponse, match="address"):
        client.me()


def test_fields_of_a_newer_server_are_ignored() -> None:
    client, _ = responding([ok(KEY | {"origins": ["https://example.com"], "more": {"a": 1}})])
    assert client.me().name == "me"


def test_a_failed_connection_becomes_an_error() -> None:
    client, _ = responding([httpx.ConnectError("refused")] * (RETRIES + 1))
    with pytest.raises(Unreachable, match="http://tidepool does not answer") as caught:
        client.me()
    assert caught.value.code == "unreachable"


def test_a_certificate_that_is_not_trusted_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Me(Handler):
        def do_GET(self) -> None:
            self.answer(200, b'{"status": "alive"}')

    authority = Authority(tmp_path)
    with answering(Me, authority.issue().server_context) as port:
        client = Client(f"https://127.0.0.1:{port}", "tp_key")
        with pytest.raises(
            UntrustedCertificate, match=r"is not trusted here: .*certificate.* set SSL_CERT_FILE to the PEM file"
        ):
            client.live()

        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert Client(f"https://127.0.0.1:{port}", "tp_key").live().status == "alive"
