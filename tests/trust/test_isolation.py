"""Nobody sees, changes or times another project's objects (G12), by any operation of the OpenAPI document.

A stranger sends each request in two worlds. In one, another project owns one of everything that the requests name; in
the other it owns nothing. Both must answer with the same status, headers and body, after the same SQL statements.
"""

import json
from typing import Any

import httpx
import pytest

from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.trust.requests import operations, requests_for
from tests.trust.world import OWNER, STRANGER, World, counted, normalised, rows_of
from tests.unit.gateway.backends import classify, gateway

pytestmark = pytest.mark.anyio

DOCUMENT: dict[str, Any] = gateway(Stores(Database.in_memory(), MemoryObjects()), MemoryChannel(classify)).openapi()

# These belong to the instance; they show the sum of all projects' work.
OF_INSTANCE = {"GET /v1/pools", "GET /v1/pools/{pool}", "GET /v1/pools/{pool}/demand", "GET /v1/pools/{pool}/history"}
OPERATIONS = sorted(set(operations(DOCUMENT)) - OF_INSTANCE)
NAMING = [operation for operation in OPERATIONS if "{" in operation and "/pools/" not in operation]


async def send(world: World, request: httpx.Request, project: str) -> httpx.Response:
    """Send a request with a key of the project, and only the headers that two runs share."""
    headers = {**request.headers, **world.headers(project)}
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(world.app)) as client,
        client.stream(request.method, request.url, content=await request.aread(), headers=headers) as response,
    ):
        await response.aread()
        return response


async def answer(world: World, request: httpx.Request) -> tuple[Any, ...]:
    """What a stranger learns: status, headers, body, and how many statements it took."""
    await send(world, httpx.Request("GET", "http://tidepool/v1/me"), STRANGER)  # its key is in the cache then
    with counted(world.stores) as statements:
        response = await send(world, request, STRANGER)
    headers = sorted((name, normalised(value)) for name, value in response.headers.items() if name != "x-request-id")
    return response.status_code, headers, normalised(response.text), statements


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_cannot_tell_whether_another_project_has_something(
    full: World, empty: World, operation: str
) -> None:
    before = rows_of(full.stores, OWNER)

    for request in requests_for(operation, DOCUMENT, full.known):
        assert await answer(full, request) == await answer(empty, request)

    # and changes nothing of the other project
    assert rows_of(full.stores, OWNER) == before


@pytest.mark.parametrize("operation", [operation for operation in NAMING if operation.startswith("GET ")])
async def test_the_owner_gets_what_a_stranger_does_not(full: World, operation: str) -> None:
    """Otherwise the test above would prove nothing."""
    for request in requests_for(operation, DOCUMENT, full.known):
        assert (await send(full, request, STRANGER)).status_code == 404
        assert (await send(full, request, OWNER)).status_code != 404, request.url


@pytest.mark.parametrize("operation", ["GET /v1/datasets", "GET /v1/jobs", "GET /v1/models", "GET /v1/keys"])
async def test_lists_have_only_the_own_projects_objects(full: World, operation: str) -> None:
    (request,) = requests_for(operation, DOCUMENT, full.known)

    own, other = [json.loads((await send(full, request, project)).text)["items"] for project in (OWNER, STRANGER)]

    assert own
    identifiers = [{item.get("id") or item["name"] for item in items} for items in (own, other)]
    assert not set.intersection(*identifiers)
