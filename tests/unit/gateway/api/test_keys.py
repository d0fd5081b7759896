"""/v1/me and /v1/keys"""

from collections.abc import Callable

import httpx
import pytest

from contract.access import Scope
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
