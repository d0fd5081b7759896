from collections.abc import Iterator

import httpx
import pytest

from tests.unit.tidepool.client.test_events import sent
from tidepool.client import Client
from tidepool.client import client as client_module
from tidepool.errors import ApiError


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LOOK", 0)


class Breaking(httpx.SyncByteStream):
    """A stream that breaks off after its bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.RemoteProtocolError("incomplete chunked read")


class Server:
    """Answers one thing after the other, or the last one for ever, and remembers where each reader resumed."""

    def __init__(self, *answers: httpx.Response | httpx.ConnectError) -> None:
        self.resumed: list[int] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/jobs/j1/events"
        self.resumed.append(int(request.headers["Last-Event-ID"]))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, httpx.ConnectError):
            raise answer
        return answer

    def events(self, after: int = 0) -> Iterator[int]:
        client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(self))
        return (event.id for event in client.events("j1", after))


def test_the_events_of_a_job_end_with_it() -> None:
    server = Server(httpx.Response(200, content=sent(3) + sent(4)))

    assert list(server.events(after=2)) == [3, 4]

    assert server.resumed == [2]


def test_a_stream_that_breaks_is_taken_up_after_the_last_event() -> None:
    server = Server(
        httpx.Response(200, stream=Breaking(sent(1) + sent(2) + sent(3)[:-4])),
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, content=sent(3)),
    )

    assert list(server.events()) == [1, 2, 3]

    assert server.resumed == [0, 2, 2, 2]


def test_a_server_that_stays_away_is_an_error() -> None:
    with pytest.raises(ApiError) as caught:
        list(Server(httpx.ConnectError("refused")).events())

    assert caught.value.code == "unreachable"


def test_a_job_that_does_not_exist_is_an_error_at_once() -> None:
    server = Server(httpx.Response(404, json={"code": "not_found", "detail": "there is no such job"}))

    with pytest.raises(ApiError, match="there is no such job"):
        list(server.events())

    assert server.resumed == [0]
