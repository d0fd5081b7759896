"""The short way of a prediction and the documented endpoint answer the same."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contract.errors import BrokerUnavailable, DeadlineExceeded
from contract.keys import Scope
from runtime.drain import Answered
from runtime.memory import MemoryChannel
from runtime.stores import Stores
from services.gateway.dependencies import Backends
from services.gateway.hot.path import HotPath
from services.gateway.hot.predict import PredictShortcut
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.published import publish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict"
SAME_HEADERS = ("content-type", "content-length", "x-request-id", "retry-after", "www-authenticate")


async def ask(app: Any, path: str, picture: bytes, headers: dict[str, str]) -> httpx.Response:
    sent = {"Content-Type": "image/png", "X-Request-ID": "trace-7"} | headers
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidepool") as client:
        return await client.post(path, content=picture, headers=sent)


async def both(
    app: FastAPI, behind: Backends, headers: dict[str, str], path: str = PREDICT, picture: bytes = b"picture"
) -> list[dict[str, Any]]:
    """What the endpoint says, and then what the short way says."""
    hot = HotPath(no_app, behind, (PredictShortcut(behind),))
    return [told(await ask(way, path, picture, headers)) for way in (app, hot)]


async def no_app(*_: object) -> None:
    raise AssertionError("the request did not take the short way")


def told(response: httpx.Response) -> dict[str, Any]:
    """An answer but for its times, which differ."""
    body = response.json()
    times = body.pop("timing_ms", {})
    assert all(isinstance(time, float) for time in times.values())
    names = [name for name in SAME_HEADERS if not (times and name == "content-length")]
    headers = {name: response.headers.get(name) for name in names}
    return {"status": response.status_code, "body": body, "times": list(times), "headers": headers}


@pytest.fixture
def headers(stores: Stores) -> dict[str, str]:
    return {"Authorization": f"Bearer {stores.keys.create('test', frozenset({Scope.PREDICT})).secret}"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (PREDICT, 200),
        (f"{PREDICT}?top_k=2", 200),
        (f"{PREDICT}?top_k=999", 200),
        (f"{PREDICT}?version=1", 200),
        (f"{PREDICT}?alias=production&top_k=2", 200),
        (f"{PREDICT}?version=3", 404),
        (f"{PREDICT}?alias=none", 404),
        ("/v1/models/none/predict", 404),
    ],
)
async def test_a_picture(
    app: FastAPI, behind: Backends, stores: Stores, headers: dict[str, str], path: str, status: int
) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.models.set_alias("pet-cnn", "production", 1)

    endpoint, hot = await both(app, behind, headers, path)

    assert endpoint == hot
    assert hot["status"] == status


@pytest.mark.parametrize(("picture", "status"), [(b"", 200), (b"bad", 422), (b"x" * 8000, 200)])
async def test_its_bytes(app: FastAPI, behind: Backends, headers: dict[str, str], picture: bytes, status: int) -> None:
    endpoint, hot = await both(app, behind, headers, picture=picture)

    assert endpoint == hot
    assert hot["status"] == status


async def test_a_wrong_key(app: FastAPI, behind: Backends) -> None:
    endpoint, hot = await both(app, behind, {"Authorization": "Bearer wrong"})

    assert endpoint == hot
    assert hot["status"] == 401


async def test_a_key_that_may_not(app: FastAPI, behind: Backends, stores: Stores) -> None:
    secret = stores.keys.create("reader", frozenset({Scope.READ})).secret

    endpoint, hot = await both(app, behind, {"Authorization": f"Bearer {secret}"})

    assert endpoint == hot
    assert hot["status"] == 403


@pytest.mark.parametrize(
    "error", [BrokerUnavailable("away"), DeadlineExceeded("too late"), FileNotFoundError("/srv/secret")], ids=repr
)
async def test_a_pool_that_fails(
    app: FastAPI, behind: Backends, channel: MemoryChannel, headers: dict[str, str], error: Exception
) -> None:
    def fail(*_: object) -> Answered:
        raise error

    channel.respond = fail

    endpoint, hot = await both(app, behind, headers)

    assert endpoint == hot
    assert hot["status"] == getattr(error, "status", 500)


async def test_a_bug_of_the_gateway(
    app: FastAPI, behind: Backends, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(*_: object) -> None:
        raise FileNotFoundError("/srv/secret")

    monkeypatch.setattr(behind.predictor, "choose", buggy)

    endpoint, hot = await both(app, behind, headers)

    assert endpoint == hot
    assert hot["status"] == 500
    assert "secret" not in str(hot["body"])


async def test_what_this_gateway_changes_counts_at_once(
    client: httpx.AsyncClient, behind: Backends, stores: Stores, headers: dict[str, str]
) -> None:
    # given an alias that was asked a moment ago
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.models.set_alias("pet-cnn", "production", 1)
    hot = HotPath(no_app, behind, (PredictShortcut(behind),))
    path = f"{PREDICT}?alias=production"
    assert (await ask(hot, path, b"picture", headers)).json()["version"] == 1

    # when it is moved through this gateway
    await client.put("/v1/models/pet-cnn/aliases/production", json={"version": 2})

    # then the next picture goes there; and a key that is revoked is refused
    assert (await ask(hot, path, b"picture", headers)).json()["version"] == 2
    for key in stores.keys.list():
        if key.name == "test" and key.scopes == (Scope.PREDICT,):
            await client.delete(f"/v1/keys/{key.id}")
    assert (await ask(hot, path, b"picture", headers)).status_code == 401
