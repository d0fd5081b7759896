"""The scopes that each route requires."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from contract.access import Scope
from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import classify, gateway

pytestmark = pytest.mark.anyio

NO_KEY = {"/livez", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/v2/health/live", "/v2/health/ready"}
ANY_KEY = {"GET /v2", "GET /v1/me"}
SCOPES = {
    "POST /v1/datasets/{name}/versions": Scope.WRITE,
    "GET /v1/datasets": Scope.READ,
    "GET /v1/datasets/{name}": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}/images": Scope.READ,
    "PATCH /v1/datasets/{name}/versions/{version}/images": Scope.WRITE,
    "GET /v1/datasets/{name}/versions/{version}/diff/{base}": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}/export": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}/images/{sha256}": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}/images/{sha256}/thumbnail": Scope.READ,
    "GET /v1/datasets/{name}/versions/{version}/images/{sha256}/original": Scope.READ,
    "DELETE /v1/datasets/{name}/versions/{version}": Scope.WRITE,
    "GET /v1/images/{sha256}": Scope.READ,
    "DELETE /v1/images/{sha256}": Scope.WRITE,
    "POST /v1/uploads": Scope.WRITE,
    "GET /v1/uploads/{upload_id}/parts": Scope.WRITE,
    "PUT /v1/uploads/{upload_id}/parts/{number}": Scope.WRITE,
    "POST /v1/uploads/{upload_id}/parts/{number}/url": Scope.WRITE,
    "POST /v1/uploads/{upload_id}/complete": Scope.WRITE,
    "DELETE /v1/uploads/{upload_id}": Scope.WRITE,
    "POST /v1/jobs": Scope.WRITE,
    "GET /v1/jobs": Scope.READ,
    "GET /v1/jobs/{job_id}": Scope.READ,
    "DELETE /v1/jobs/{job_id}": Scope.WRITE,
    "DELETE /v1/jobs/{job_id}/output": Scope.WRITE,
    "GET /v1/jobs/{job_id}/events": Scope.READ,
    "GET /v1/jobs/{job_id}/output": Scope.READ,
    "POST /v1/jobs/{job_id}/cancel": Scope.WRITE,
    "POST /v1/jobs/{job_id}/retry": Scope.WRITE,
    "GET /v1/models": Scope.READ,
    "GET /v1/models/{name}": Scope.READ,
    "GET /v1/models/{name}/versions/{version}": Scope.READ,
    "GET /v1/models/{name}/versions/{version}/artifact": Scope.READ,
    "GET /v1/models/{name}/versions/{version}/card": Scope.READ,
    "GET /v1/models/{name}/versions/{version}/export": Scope.READ,
    "PUT /v1/models/{name}/versions/{version}/variants/{variant}/serving": Scope.WRITE,
    "DELETE /v1/models/{name}/versions/{version}/variants/{variant}/serving": Scope.WRITE,
    "DELETE /v1/models/{name}/versions/{version}/quarantine": Scope.WRITE,
    "POST /v1/models/{name}/versions": Scope.WRITE,
    "DELETE /v1/models/{name}/versions/{version}": Scope.WRITE,
    "POST /v1/backbones": Scope.WRITE,
    "GET /v1/backbones": Scope.READ,
    "GET /v1/backbones/{name}": Scope.READ,
    "GET /v1/backbones/{name}/versions/{version}": Scope.READ,
    "DELETE /v1/backbones/{name}/versions/{version}": Scope.WRITE,
    "POST /v1/pipelines": Scope.WRITE,
    "GET /v1/pipelines": Scope.READ,
    "GET /v1/pipelines/{name}": Scope.READ,
    "PATCH /v1/pipelines/{name}": Scope.WRITE,
    "DELETE /v1/pipelines/{name}": Scope.WRITE,
    "POST /v1/pipelines/{name}/runs": Scope.WRITE,
    "GET /v1/pipelines/{name}/runs": Scope.READ,
    "PUT /v1/models/{name}/aliases/{alias}": Scope.WRITE,
    "DELETE /v1/models/{name}/aliases/{alias}": Scope.WRITE,
    "GET /v1/models/{name}/aliases/{alias}/review": Scope.READ,
    "PUT /v1/models/{name}/aliases/{alias}/review": Scope.WRITE,
    "DELETE /v1/models/{name}/aliases/{alias}/review": Scope.WRITE,
    "GET /v1/models/{name}/aliases/{alias}/drift": Scope.READ,
    "POST /v1/models/{name}/predict": Scope.PREDICT,
    "GET /v1/reviews": Scope.READ,
    "GET /v1/reviews/next": Scope.REVIEW,
    "GET /v1/reviews/progress": Scope.REVIEW,
    "GET /v1/reviews/{item_id}/image": Scope.REVIEW,
    "POST /v1/reviews/undo": Scope.REVIEW,
    "POST /v1/reviews/{item_id}": Scope.REVIEW,
    "POST /v1/reviews/{item_id}/lease": Scope.REVIEW,
    "POST /v1/reviews/sources": Scope.WRITE,
    "POST /v1/feedback": Scope.PREDICT,
    "GET /v2/models/{model}": Scope.READ,
    "GET /v2/models/{model}/versions/{version}": Scope.READ,
    "GET /v2/models/{model}/ready": Scope.READ,
    "GET /v2/models/{model}/versions/{version}/ready": Scope.READ,
    "POST /v2/models/{model}/infer": Scope.PREDICT,
    "POST /v2/models/{model}/versions/{version}/infer": Scope.PREDICT,
    "POST /v2/repository/index": Scope.READ,
    "POST /v2/repository/models/{model}/load": Scope.PREDICT,
    "POST /v2/repository/models/{model}/unload": Scope.PREDICT,
    "GET /v1/pools": Scope.READ,
    "GET /v1/pools/{pool}": Scope.READ,
    "GET /v1/pools/{pool}/demand": Scope.READ,
    "GET /v1/pools/{pool}/history": Scope.READ,
    "PATCH /v1/pools/{pool}": Scope.ADMIN,
    "GET /v1/health": Scope.ADMIN,
    "GET /v1/usage": Scope.READ,
    "GET /v1/usage/storage": Scope.READ,
    "GET /v1/keys": Scope.MANAGE,
    "POST /v1/keys": Scope.MANAGE,
    "DELETE /v1/keys/{key_id}": Scope.MANAGE,
    "GET /v1/audit": Scope.MANAGE,
    "GET /v1/projects": Scope.READ,
    "POST /v1/projects": Scope.ADMIN,
    "GET /v1/projects/{name}": Scope.READ,
    "PATCH /v1/projects/{name}": Scope.ADMIN,
    "DELETE /v1/projects/{name}": Scope.ADMIN,
}


SOME = {
    "version": "1",
    "number": "1",
    "pool": "trainer",
    "sha256": "0" * 64,
    "variant": "int8",
}  # path parameters for which "none" is not a valid value


def request_of(operation: str) -> httpx.Request:
    """A valid request for something that does not exist."""
    method, path = operation.split()
    path = re.sub(r"{(\w+)}", lambda part: SOME.get(part[1], "none"), path)
    bodies = {
        "POST /v1/jobs": {"kind": "train", "spec": {"dataset": "none", "model": "none"}},
        "POST /v1/uploads": {"filename": "a.zip", "size": 1},
        "POST /v1/projects": {"name": "a"},
        "POST /v1/pipelines": {"name": "a", "model": "none", "dataset": "none"},
        "PATCH /v1/pipelines/{name}": {"paused": True},
        "PATCH /v1/projects/{name}": {"description": "a"},
        "POST /v1/keys": {"name": "a", "scopes": ["manage"]},
        "PUT /v1/models/{name}/aliases/{alias}": {"version": 1},
        "PATCH /v1/pools/{pool}": {"mode": "manual", "replicas": 1},
        "POST /v1/reviews/{item_id}": {"lease": "a", "skip": True},
        "POST /v1/reviews/{item_id}/lease": {"lease": "a"},
        "POST /v1/reviews/sources": {"source": "duplicates", "dataset": "none"},
        "POST /v1/feedback": {"prediction": "a", "label": "cat"},
    }
    return httpx.Request(method, f"http://tidepool{path}", json=bodies.get(operation))


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    request.headers.update(client.headers)
    return await client.send(request)


def detail(response: httpx.Response, status: int, code: str) -> str:
    """The message of a refusal, in the format of its path."""
    if response.request.url.path.startswith("/v2"):
        assert response.status_code == status
        return str(response.json()["error"])
    return problem(response, status, code).detail


def is_page(route: Any) -> bool:
    """Whether it is a page of the console, which needs a session; tests/trust/test_console.py tries them all."""
    return route.endpoint.__module__.startswith("services.gateway.console")


def test_every_route_is_in_the_table(app: FastAPI) -> None:
    operations = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if route.path not in NO_KEY and not is_page(route)
    }

    assert operations == set(SCOPES) | ANY_KEY


@pytest.fixture(scope="module")
def empty() -> FastAPI:
    """An empty gateway; requests without a key do not change it."""
    return gateway(Stores(Database.in_memory(), MemoryObjects()), MemoryChannel(classify))


@pytest.mark.parametrize("operation", sorted(set(SCOPES) | ANY_KEY))
@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Bearer tp_0123abcd_{'A' * 43}", "Basic dGVzdA==", "Bearer"])
async def test_a_request_needs_a_key(empty: FastAPI, operation: str, header: str | None) -> None:
    request = request_of(operation)
    if header is not None:
        request.headers["Authorization"] = header

    async with httpx.AsyncClient(transport=httpx.ASGITransport(empty)) as client:
        response = await client.send(request)

    detail(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("operation", "scope"), SCOPES.items(), ids=SCOPES)
async def test_a_key_needs_the_scope(
    client_with: Callable[..., httpx.AsyncClient], operation: str, scope: Scope
) -> None:
    others = client_with(*set(Scope) - {scope, Scope.ADMIN})
    right = client_with(scope)
    admin = client_with(Scope.ADMIN)

    refused = await send(others, request_of(operation))

    assert str(scope) in detail(refused, 403, "forbidden")
    assert (await send(right, request_of(operation))).status_code not in {401, 403}
    assert (await send(admin, request_of(operation))).status_code not in {401, 403}


async def test_a_revoked_key_is_refused_at_once(client: httpx.AsyncClient, stores: Stores) -> None:
    (key,) = stores.keys.list()

    stores.keys.delete(key.id)
    response = await client.get("/v1/me")

    assert response.status_code == 401
    problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/v1/datasets/pets/versions", "/v1/models/pet-cnn/predict"])
async def test_a_large_body_is_not_read_without_a_key(anonymous: httpx.AsyncClient, path: str) -> None:
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"--x\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(await anonymous.post(path, content=body(), headers=headers), 401, "unauthenticated")

    assert not read


@pytest.mark.parametrize("path", sorted(NO_KEY))
async def test_public_routes_need_no_key(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 200
