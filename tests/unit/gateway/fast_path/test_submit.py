"""Submits over the limit, on the fast path and in the application."""

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.access import Scope
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.fast_path.serving import no_app, serving

pytestmark = pytest.mark.anyio

SAME_HEADERS = ("content-type", "content-length", "x-request-id", "retry-after")


@pytest.fixture
def headers(stores: Stores) -> dict[str, str]:
    secret = stores.keys.create("test", frozenset({Scope.WRITE})).secret
    return {"Authorization": f"Bearer {secret}", "X-Request-ID": "trace-7"}


async def submit(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/v1/jobs", json={"kind": "train"}, headers=headers)


async def test_a_submit_over_the_limit_gets_the_same_refusal(
    app: FastAPI, backends: Backends, headers: dict[str, str]
) -> None:
    # given
    backends.submits.taken = backends.submits.limit

    # when
    async with serving(app, HttpToolsProtocol) as client:
        by_application = await submit(client, headers)
    async with serving(no_app, create_protocol(backends)) as client:
        by_fast_path = await submit(client, headers)

    # then
    assert int(by_fast_path.headers["Retry-After"]) > 0
    assert problem(by_fast_path, 503, "overloaded") == problem(by_application, 503, "overloaded")
    assert [by_fast_path.headers.get(name) for name in SAME_HEADERS] == [
        by_application.headers.get(name) for name in SAME_HEADERS
    ]


async def test_each_refusal_has_the_id_of_its_request(backends: Backends, headers: dict[str, str]) -> None:
    backends.submits.taken = backends.submits.limit
    before = REGISTRY.get_sample_value("tidepool_http_problems_total", {"code": "overloaded"}) or 0

    async with serving(no_app, create_protocol(backends)) as client:
        answers = [await submit(client, headers | {"X-Request-ID": name}) for name in ("trace-8", "a-longer-trace-9")]

    assert [answer.headers["x-request-id"] for answer in answers] == ["trace-8", "a-longer-trace-9"]
    assert [answer.json()["request_id"] for answer in answers] == ["trace-8", "a-longer-trace-9"]
    assert REGISTRY.get_sample_value("tidepool_http_problems_total", {"code": "overloaded"}) == before + 2


async def test_a_submit_is_passed_on_if_there_is_room(
    app: FastAPI, backends: Backends, headers: dict[str, str]
) -> None:
    async with serving(app, create_protocol(backends)) as client:
        assert (await submit(client, headers)).status_code == 422
