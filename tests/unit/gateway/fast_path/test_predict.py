"""The fast path and the endpoint of predictions give the same responses."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.access import DEFAULT_PROJECT, Scope
from contract.errors import BrokerUnavailable, DeadlineExceeded
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.predictor import ModelQuery
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

PREDICT = "/v1/models/pet-cnn/predict"
KNOWN = (ModelQuery(DEFAULT_PROJECT, "pet-cnn"), ModelQuery(DEFAULT_PROJECT, "pet-cnn", 1))
SAME_HEADERS = ("content-type", "content-length", "x-request-id", "retry-after", "www-authenticate")


async def ask(client: httpx.AsyncClient, path: str, image: bytes, headers: dict[str, str]) -> httpx.Response:
    sent = {"Content-Type": "image/png", "X-Request-ID": "trace-7"} | headers
    return await client.post(path, content=image, headers=sent)


async def endpoint_and_fast_path(
    app: FastAPI, backends: Backends, headers: dict[str, str], path: str = PREDICT, image: bytes = b"image"
) -> list[dict[str, Any]]:
    """Return the responses of the endpoint and of the fast path."""
    await warm(backends, headers["Authorization"].removeprefix("Bearer "), *KNOWN)
    result = []
    for served, protocol in ((app, HttpToolsProtocol), (no_app, create_protocol(backends))):
        async with serving(served, protocol) as client:
            result.append(comparable(await ask(client, path, image, headers)))
    return result


def comparable(response: httpx.Response) -> dict[str, Any]:
    """The response without its timings, which differ."""
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
    ],
)
async def test_an_image_gets_the_same_answer(
    app: FastAPI, backends: Backends, stores: Stores, headers: dict[str, str], path: str, status: int
) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)

    endpoint, fast = await endpoint_and_fast_path(app, backends, headers, path)

    assert endpoint == fast
    assert fast["status"] == status


@pytest.mark.parametrize(("image", "status"), [(b"x", 200), (b"bad", 422), (b"x" * 8000, 200)])
async def test_bodies_of_any_content_get_the_same_answer(
    app: FastAPI, backends: Backends, headers: dict[str, str], image: bytes, status: int
) -> None:
    endpoint, fast = await endpoint_and_fast_path(app, backends, headers, image=image)

    assert endpoint == fast
    assert fast["status"] == status


@pytest.mark.parametrize(
    "error", [BrokerUnavailable("away"), DeadlineExceeded("too late"), FileNotFoundError("/srv/secret")], ids=repr
)
async def test_a_failing_pool_gives_the_same_error(
    app: FastAPI, backends: Backends, channel: MemoryChannel, headers: dict[str, str], error: Exception
) -> None:
    def fail(*_: object) -> BatchAnswers:
        raise error

    channel.respond = fail

    endpoint, fast = await endpoint_and_fast_path(app, backends, headers)

    assert endpoint == fast
    assert fast["status"] == getattr(error, "status", 500)


async def test_a_bug_in_the_gateway_gives_the_same_error(
    app: FastAPI, backends: Backends, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def buggy(*_: object) -> None:
        raise FileNotFoundError("/srv/secret")

    monkeypatch.setattr(backends.predictor.inference, "post", buggy)

    endpoint, fast = await endpoint_and_fast_path(app, backends, headers)

    assert endpoint == fast
    assert fast["status"] == 500
    assert "secret" not in str(fast["body"])


async def test_changes_through_this_gateway_apply_immediately(
    app: FastAPI, client: httpx.AsyncClient, backends: Backends, stores: Stores, headers: dict[str, str]
) -> None:
    # given an alias in the cache
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)
    await warm(backends, headers["Authorization"].removeprefix("Bearer "), *KNOWN)
    path = f"{PREDICT}?alias=production"
    async with serving(app, create_protocol(backends)) as fast:
        assert (await ask(fast, path, b"image", headers)).json()["version"] == 1

        # when this gateway moves it
        await client.put("/v1/models/pet-cnn/aliases/production", json={"version": 2})

        # then the next image goes to the new version; and a revoked key is refused
        assert (await ask(fast, path, b"image", headers)).json()["version"] == 2
        for key in stores.keys.list():
            if key.name == "test" and key.scopes == (Scope.PREDICT,):
                await client.delete(f"/v1/keys/{key.id}")
        assert (await ask(fast, path, b"image", headers)).status_code == 401
