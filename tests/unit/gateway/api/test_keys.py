"""/v1/me and /v1/keys"""

from collections.abc import Callable

import httpx
import pytest

from contract.keys import Scope
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


async def test_me_returns_the_key_of_the_request(client_with: Callable[..., httpx.AsyncClient]) -> None:
    response = await client_with(Scope.READ, Scope.PREDICT).get("/v1/me")

    assert response.status_code == 200
    assert (response.json()["name"], response.json()["scopes"]) == ("test", ["predict", "read"])
    assert "secret" not in response.json()


async def test_a_key_is_made_and_works(client: httpx.AsyncClient) -> None:
    # when a key is made
    made = await client.post("/v1/keys", json={"name": "laptop", "scopes": ["read"]})

    # then its secret opens what its scopes say
    assert made.status_code == 201
    key = made.json()
    headers = {"Authorization": f"Bearer {key['secret']}"}
    assert (await client.get("/v1/jobs", headers=headers)).status_code == 200
    problem(await client.get("/v1/keys", headers=headers), 403, "forbidden")

    # and is shown nowhere else
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
async def test_scopes_that_do_not_exist(client: httpx.AsyncClient, scopes: object) -> None:
    result = problem(await client.post("/v1/keys", json={"name": "laptop", "scopes": scopes}), 422, "invalid")

    assert result.errors[0].where.startswith("scopes")
