"""/v1/models/{name}/aliases/{alias}/review"""

from collections.abc import Callable

import httpx
import pytest

from contract.access import DEFAULT_PROJECT, Scope
from services.storage.stores import Stores
from tests.support.problems import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

REVIEW = "/v1/models/pet-cnn/aliases/production/review"


@pytest.fixture(autouse=True)
def alias(stores: Stores, model: object) -> None:
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)


async def test_sampling_is_turned_on_shown_and_turned_off(client: httpx.AsyncClient) -> None:
    problem(await client.get(REVIEW), 404, "not_found")

    turned_on = await client.put(REVIEW, json={"rate_per_day": 50})

    assert turned_on.status_code == 200
    shown = (await client.get(REVIEW)).json()
    assert shown == turned_on.json()
    assert shown["mix"] == {"margin": 0.7, "random": 0.2, "disagreement": 0.1}
    assert (shown["rate_per_day"], shown["keep_days"], shown["votes"]) == (50, 30, 1)
    assert shown["today"] == {"seen": 0, "margin": 0, "random": 0, "disagreement": 0}
    (alias,) = (await client.get("/v1/models/pet-cnn")).json()["aliases"]
    assert alias["review"]["rate_per_day"] == 50

    assert (await client.delete(REVIEW)).status_code == 204
    problem(await client.get(REVIEW), 404, "not_found")
    problem(await client.delete(REVIEW), 404, "not_found")


async def test_wrong_settings_are_refused_with_what_to_change(client: httpx.AsyncClient) -> None:
    response = await client.put(REVIEW, json={"mix": {"margin": 0.5, "random": 0.1, "disagreement": 0.1}})

    (error,) = problem(response, 422, "invalid").errors
    assert "the shares must add up to 1; these add up to 0.7" in error.message


@pytest.mark.parametrize(("model", "alias"), [("none", "production"), ("pet-cnn", "none")])
async def test_an_unknown_model_or_alias_is_not_found(client: httpx.AsyncClient, model: str, alias: str) -> None:
    response = await client.put(f"/v1/models/{model}/aliases/{alias}/review", json={})

    assert problem(response, 404, "not_found").detail == f"the model {model} has no alias {alias}"


async def test_a_reader_sees_the_sampling_and_cannot_change_it(
    client: httpx.AsyncClient, client_with: Callable[..., httpx.AsyncClient]
) -> None:
    await client.put(REVIEW, json={})
    reader = client_with(Scope.READ)

    assert (await reader.get(REVIEW)).status_code == 200
    problem(await reader.put(REVIEW, json={}), 403, "forbidden")
