"""Nobody sees another project's objects in the console (G12): every page, with and without them, looks the same."""

import re

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from tests.trust.world import OWNER, STRANGER, World, counted, normalised

pytestmark = pytest.mark.anyio

NOT_PAGES = {"/console/{build}/{name:path}", "/live", "/sign-in", "/console/links"}
NOT_PAGES |= {"/pools", "/pools/{pool}/forecast"}  # of the instance, not of a project; see guarantee 12


def pages(world: World) -> list[tuple[str, str]]:
    """Method and path of every route of the console; the paths of the API are documented or begin with /v."""
    documented = world.app.openapi()["paths"]
    api = re.compile(r"/v\d|/docs|/openapi|/metrics|/healthz|/readyz")
    routes = [
        (method, route.path)
        for route in iter_route_contexts(world.app.routes)
        for method in sorted(set(route.methods or ()) & {"GET", "POST"})
    ]
    return [
        (method, path)
        for method, path in routes
        if path not in documented and path not in NOT_PAGES and not api.match(path)
    ]


async def look(world: World, project: str, method: str, path: str) -> tuple[object, ...]:
    """What a person of a project sees: status, page, and how many statements it took."""
    key_id = world.secrets[project].split("_")[1]
    session = world.stores.sessions.create(key_id)
    headers = {"Cookie": f"tidepool={session}", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="https://tidepool") as client:
        await client.get("/v1/me", headers=headers)  # the session is in the cache then
        with counted(world.stores) as statements:
            response = await client.request(method, path, headers=headers)
    text = re.sub(rf"<code>[0-9a-f]{{32}}</code>|{key_id}", "", response.text)
    return response.status_code, normalised(text), len(statements)


def address(world: World, path: str) -> str:
    parameters = {"before": 1, "after": 2} | world.known.get(path.split("/")[1], world.known[""])
    return re.sub(r"{(\w+)(:\w+)?}", lambda part: str(parameters[part[1]]), path)


async def test_a_stranger_sees_the_same_pages_with_and_without_another_projects_objects(
    full: World, empty: World
) -> None:
    routes = pages(full)
    assert ("GET", "/") in routes

    for method, path in routes:
        target = address(full, path)
        assert await look(full, STRANGER, method, target) == await look(empty, STRANGER, method, target), target


async def test_the_owner_sees_what_a_stranger_does_not(full: World) -> None:
    for method, path in pages(full):
        if method == "GET" and "{" in path:
            target = address(full, path)
            assert (await look(full, STRANGER, method, target))[0] == 404, target
            assert (await look(full, OWNER, method, target))[0] in {200, 303}, target
