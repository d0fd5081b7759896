"""/v1/me and /v1/keys"""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from contract.access import SCOPES_OF, Role, Scope
from services.storage.stores import Stores
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


async def test_me_returns_the_key_of_the_request(client_with: Callable[..., httpx.AsyncClient]) -> None:
    response = await client_with(Scope.READ, Scope.PREDICT).get("/v1/me")

    assert response.status_code == 200
    assert (response.json()["name"], response.json()["scopes"]) == ("test", ["predict", "read"])
    assert "secret" not in response.json()


async def test_a_created_key_has_its_scopes(client: httpx.AsyncClient) -> None:
    # when a key is created
    response = await client.post("/v1/keys", json={"name": "laptop", "scopes": ["read"]})

    # then its secret permits what its scopes permit
    assert response.status_code == 201
    key = response.json()
    headers = {"Authorization": f"Bearer {key['secret']}"}
    assert (await client.get("/v1/jobs", headers=headers)).status_code == 200
    problem(await client.get("/v1/keys", headers=headers), 403, "forbidden")

    # and is not listed
    listed = (await client.get("/v1/keys")).json()
    assert [result["name"] for result in listed["items"]] == ["test", "laptop"]
    assert listed["next"] is None
    assert key["secret"] not in str(listed)


async def test_a_key_is_revoked(client: httpx.AsyncClient) -> None:
    key = (await client.post("/v1/keys", json={"name": "laptop", "scopes": ["read"]})).json()

    assert (await client.delete(f"/v1/keys/{key['id']}")).status_code == 204

    headers = {"Authorization": f"Bearer {key['secret']}"}
    problem(await client.get("/v1/me", headers=headers), 401, "unauthenticated")
    problem(await client.delete(f"/v1/keys/{key['id']}"), 404, "not_found")


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "root"], "read", None])
async def test_unknown_scopes_are_refused(client: httpx.AsyncClient, scopes: object) -> None:
    result = problem(await client.post("/v1/keys", json={"name": "laptop", "scopes": scopes}), 422, "invalid")

    assert result.errors[0].where.startswith("scopes")


async def test_a_key_is_created_with_a_role(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/keys", json={"name": "lab", "role": "labeller"})

    assert response.status_code == 201
    assert (response.json()["role"], response.json()["scopes"]) == ("labeller", ["review"])
    headers = {"Authorization": f"Bearer {response.json()['secret']}"}
    assert (await client.get("/v1/me", headers=headers)).json()["role"] == "labeller"
    problem(await client.post("/v1/jobs/none/cancel", headers=headers), 403, "forbidden")


@pytest.mark.parametrize("access", [{}, {"role": "viewer", "scopes": ["read"]}, {"role": None}])
async def test_a_key_has_either_a_role_or_scopes(client: httpx.AsyncClient, access: dict[str, object]) -> None:
    response = await client.post("/v1/keys", json={"name": "laptop"} | access)

    assert problem(response, 422, "invalid").errors[0].message == "give either `role` or `scopes`"


async def test_an_unknown_role_is_refused_with_those_that_exist(client: httpx.AsyncClient) -> None:
    (error,) = problem(await client.post("/v1/keys", json={"name": "laptop", "role": "owner"}), 422, "invalid").errors

    assert (error.where, "'labeller'" in error.message) == ("role", True)


@pytest.mark.parametrize(
    ("expires_at", "reason"),
    [
        ("2000-01-01T00:00:00Z", "must be in the future"),
        ("9999-12-31T23:59:59-12:00", "out of range"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
        ("soon", "write a time as in"),
        (1, "write a time as in"),
        (-1e300, "write a time as in"),
        (1_900_000_000, "write a time as in"),
        ("1900000000", "write a time as in"),
    ],
)
async def test_an_expiry_that_no_key_can_have_is_refused(
    client: httpx.AsyncClient, expires_at: object, reason: str
) -> None:
    body = {"name": "laptop", "role": "viewer", "expires_at": expires_at}

    assert reason in problem(await client.post("/v1/keys", json=body), 422, "invalid").detail


async def test_an_expiry_needs_a_time_zone(client: httpx.AsyncClient) -> None:
    body = {"name": "laptop", "role": "viewer", "expires_at": "2999-01-01T00:00:00"}

    assert problem(await client.post("/v1/keys", json=body), 422, "invalid").errors[0].where == "expires_at"


@pytest.mark.parametrize("access", [{"role": "instance-admin"}, {"scopes": ["read", "admin"]}])
async def test_a_key_gives_no_scope_that_it_lacks(
    client_with: Callable[..., httpx.AsyncClient], access: dict[str, object]
) -> None:
    admin_of_project = client_with(*SCOPES_OF[Role.ADMIN])

    refused = await admin_of_project.post("/v1/keys", json={"name": "mine"} | access)

    assert "lacks the scope admin" in problem(refused, 403, "forbidden").detail
    allowed = await admin_of_project.post("/v1/keys", json={"name": "mine", "role": "admin"})
    assert allowed.status_code == 201


async def test_an_admin_of_a_project_does_not_revoke_the_key_of_the_instances_admin(
    client_with: Callable[..., httpx.AsyncClient], client: httpx.AsyncClient, stores: Stores
) -> None:
    (root,) = stores.keys.list()

    refused = await client_with(*SCOPES_OF[Role.ADMIN]).delete(f"/v1/keys/{root.id}")

    assert "lacks the scope admin" in problem(refused, 403, "forbidden").detail
    assert (await client.get("/v1/me")).status_code == 200


async def test_keys_tell_when_they_were_last_used(client: httpx.AsyncClient) -> None:
    await client.get("/v1/me")

    for _ in range(1000):  # it is written in the background
        last_used_at = (await client.get("/v1/keys")).json()["items"][0]["last_used_at"]
        if last_used_at is not None:
            break
        await asyncio.sleep(0.01)
    assert last_used_at is not None
