"""What becomes of a request that takes the short way, or is too unusual for it."""

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send
from structlog.typing import EventDict

from contract.keys import Scope as KeyScope
from runtime.memory import MemoryChannel
from runtime.stores import Stores
from services.gateway.app import create_app, with_shortcuts
from services.gateway.dependencies import Backends
from services.gateway.hot import client as hot_client
from services.gateway.hot.path import HotPath
from services.gateway.hot.predict import PredictShortcut

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict"
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def headers(stores: Stores) -> dict[str, str]:
    secret = stores.keys.create("test", frozenset({KeyScope.PREDICT})).secret
    return PNG | {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def passed_on() -> list[Scope]:
    """The requests that did not take the short way."""
    return []


@pytest.fixture
def hot(behind: Backends, passed_on: list[Scope]) -> HotPath:
    """The short way alone."""

    async def note(scope: Scope, _: Receive, send: Send) -> None:
        passed_on.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    return HotPath(note, behind, (PredictShortcut(behind),))


async def post(app: Any, path: str, content: Any = b"picture", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidepool") as client:
        return await client.post(path, content=content, **options)


@pytest.mark.parametrize("query", ["", "?top_k=2", "?version=1", "?version=1&top_k=999"])
@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/webp", "image/bmp"])
async def test_what_is_usual_takes_the_short_way(
    hot: HotPath, passed_on: list[Scope], headers: dict[str, str], query: str, kind: str
) -> None:
    response = await post(hot, PREDICT + query, headers=headers | {"Content-Type": kind})

    assert (response.status_code, response.json()["predictions"][0]["label"]) == (200, "cat")
    assert passed_on == []


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/v1/models/pet-cnn/predict/", {}),
        ("/v1/models/UPPER/predict", {}),
        ("/v1/jobs", {}),
        (f"{PREDICT}?top_k=0", {}),
        (f"{PREDICT}?top_k=1000", {}),
        (f"{PREDICT}?top_k=1&top_k=2", {}),
        (f"{PREDICT}?top_k=", {}),
        (f"{PREDICT}?surprise=1", {}),
        (f"{PREDICT}?version=1&alias=production", {}),
        (PREDICT, {"Content-Type": "IMAGE/PNG; q=1"}),
        (PREDICT, {"Content-Type": "multipart/form-data; boundary=x"}),
        (PREDICT, {"Authorization": "bearer lower"}),
        (PREDICT, {"Authorization": "Basic dGVzdA=="}),
        (PREDICT, {"Authorization": ""}),
        (PREDICT, {"Content-Length": "8001"}),
        (PREDICT, {"Content-Length": "-1"}),
        (PREDICT, {"Content-Length": "²"}),
        (PREDICT, {"X-Request-Timeout": "1"}),
    ],
)
async def test_what_is_unusual_is_passed_on(
    hot: HotPath, passed_on: list[Scope], headers: dict[str, str], path: str, changed: dict[str, str]
) -> None:
    raw = {name: value.encode() for name, value in (headers | changed).items()}

    assert (await post(hot, path, headers=raw)).status_code == 204

    assert len(passed_on) == 1


async def test_a_body_without_its_length_is_passed_on(
    hot: HotPath, passed_on: list[Scope], headers: dict[str, str]
) -> None:
    async def chunks() -> Any:
        yield b"picture"

    await post(hot, PREDICT, chunks(), headers=headers)

    assert len(passed_on) == 1


async def test_other_protocols_are_passed_on(hot: HotPath, passed_on: list[Scope]) -> None:
    async def nothing(*_: object) -> Any:
        return {}

    await hot({"type": "lifespan"}, nothing, nothing)

    assert passed_on == [{"type": "lifespan"}]


async def test_a_request_is_counted_and_has_an_id(hot: HotPath, headers: dict[str, str]) -> None:
    labels = {"method": "POST", "route": "/v1/models/{name}/predict", "status": "200"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0

    response = await post(hot, PREDICT, headers=headers | {"X-Request-ID": "trace-7"})

    assert response.headers["x-request-id"] == "trace-7"
    assert REGISTRY.get_sample_value("tidepool_http_requests_total", labels) == before + 1


async def test_a_refusal_is_logged_with_its_id(hot: HotPath, headers: dict[str, str], logs: list[EventDict]) -> None:
    wrong = headers | {"Authorization": "Bearer wrong", "X-Request-ID": "trace-7"}

    await post(hot, PREDICT, headers=wrong)

    assert [(line["event"], line["status"], line["request_id"]) for line in logs] == [("request", 401, "trace-7")]


async def test_a_client_that_leaves_frees_its_place(
    behind: Backends, channel: MemoryChannel, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a client whose picture is with a replica that does not answer
    monkeypatch.setattr(hot_client, "WATCH_AFTER_S", 0.0)
    channel.held = True
    labels = {"method": "POST", "route": "/v1/models/{name}/predict", "status": "499"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": PREDICT,
        "query_string": b"",
        "headers": [*raw, (b"content-length", b"7")],
    }
    said: list[Message] = [{"type": "http.request", "body": b"picture"}]
    told: list[Message] = []

    async def receive() -> Message:
        if said:
            return said.pop()
        while not channel.sent:  # noqa: ASYNC110  the key is read in a thread
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    # when it leaves
    await with_shortcuts(create_app(behind), behind)(scope, receive, send)

    # then its batch is taken back, and nobody is told anything
    assert channel.withdrawn == channel.sent != []
    assert told == []
    assert REGISTRY.get_sample_value("tidepool_http_requests_total", labels) == before + 1
