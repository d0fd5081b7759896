import json
from collections.abc import Iterator

import httpx
import pytest

from contract.jobs import JobEvent
from tidepool_client import Client, NotFound, Unreachable, retries

SSE = {"Content-Type": "text/event-stream; charset=utf-8"}


def sent(number: int, kind: str = "log", **data: object) -> bytes:
    body = json.dumps({"at": "2026-01-01T00:00:00Z", "data": data}, ensure_ascii=False)
    return f"id: {number}\r\nevent: {kind}\r\ndata: {body}\r\n\r\n".encode()


END = sent(9, "state", state="succeeded", attempt=1)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BASE_S", 0)


class Chunks(httpx.SyncByteStream):
    def __init__(self, content: bytes, size: int) -> None:
        self._chunks = [content[start : start + size] for start in range(0, len(content), size)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks


class Breaking(httpx.SyncByteStream):
    """A stream that breaks off after its bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.RemoteProtocolError("incomplete chunked read")


class Server:
    """Returns its responses in order, repeating the last one; `resumed` holds each request's Last-Event-ID."""

    def __init__(self, *responses: httpx.Response | httpx.ConnectError) -> None:
        self.resumed: list[int] = []
        self._responses = list(responses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/jobs/j1/events"
        self.resumed.append(int(request.headers["Last-Event-ID"]))
        response = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
        if isinstance(response, httpx.ConnectError):
            raise response
        return response

    def events(self, after: int = 0) -> Iterator[JobEvent]:
        client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(self))
        return client.jobs.events("j1", after)

    def ids(self, after: int = 0) -> list[int]:
        return [event.id for event in self.events(after)]


def test_kinds_of_events_that_a_newer_server_has_are_skipped() -> None:
    content = sent(1) + sent(2, "sample", image="a.jpg") + END
    assert Server(httpx.Response(200, headers=SSE, content=content)).ids() == [1, 9]


def test_events_end_when_the_job_ends() -> None:
    server = Server(httpx.Response(200, headers=SSE, content=sent(3) + sent(4) + END))

    assert server.ids(after=2) == [3, 4, 9]

    assert server.resumed == [2]


def test_a_broken_stream_resumes_after_the_last_event() -> None:
    server = Server(
        httpx.Response(200, headers=SSE, stream=Breaking(sent(1) + sent(2) + sent(3)[:-4])),
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, headers=SSE, content=sent(3) + END),
    )

    assert server.ids() == [1, 2, 3, 9]

    assert server.resumed == [0, 2, 2, 2]


def test_a_server_that_stays_unreachable_raises_an_error() -> None:
    with pytest.raises(Unreachable) as caught:
        Server(httpx.ConnectError("refused")).ids()

    assert caught.value.code == "unreachable"


def test_a_missing_job_raises_an_error_without_retries() -> None:
    server = Server(httpx.Response(404, json={"code": "not_found", "detail": "there is no such job"}))

    with pytest.raises(NotFound, match="there is no such job"):
        server.ids()

    assert server.resumed == [0]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_the_same_whatever_the_chunk_size(size: int) -> None:
    content = sent(1, "state", state="queued") + b": ping - now\r\n\r\n" + sent(2, message="ü\u2028\x85: , id: 7") + END

    first, second, _ = Server(httpx.Response(200, headers=SSE, stream=Chunks(content, size))).events()

    assert (first.id, first.kind, first.data) == (1, "state", {"state": "queued"})
    assert (second.id, second.kind, second.data) == (2, "log", {"message": "ü\u2028\x85: , id: 7"})


def test_a_stream_that_ends_before_the_job_is_resumed() -> None:
    server = Server(
        httpx.Response(200, headers=SSE, content=sent(1) + sent(2)[:-4]),
        httpx.Response(200, headers=SSE, content=b""),
        httpx.Response(200, headers=SSE, content=sent(2) + END),
    )

    assert server.ids() == [1, 2, 9]

    assert server.resumed == [0, 1, 1]


def test_streams_that_keep_ending_without_an_event_raise_an_error() -> None:
    with pytest.raises(Unreachable, match="ended before the job"):
        Server(httpx.Response(200, headers=SSE, content=b"")).ids()


def test_a_job_that_has_ended_has_no_more_events() -> None:
    assert Server(httpx.Response(204)).ids() == []


def test_a_response_that_is_not_an_event_stream_raises_an_error() -> None:
    with pytest.raises(Unreachable) as caught:
        Server(httpx.Response(200, content=b"<html>")).ids()

    assert caught.value.code == "unreachable"
