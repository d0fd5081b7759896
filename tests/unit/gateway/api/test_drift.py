"""/v1/models/{name}/aliases/{alias}/drift"""

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.drift import DriftCounts
from services.storage.stores import Stores
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

DRIFT = "/v1/models/pet-cnn/aliases/production/drift"


@pytest.mark.usefixtures("model")
async def test_the_drift_of_an_alias_is_shown(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.put("/v1/models/pet-cnn/aliases/production", json={"version": 1})
    day = stores.database.now().date()
    counts = DriftCounts(classes={"cat": 3}, confidence=(0, 3), confidence_sum=2.5)
    stores.of(DEFAULT_PROJECT).drift.add("pet-cnn", 1, day, counts)

    drift = (await client.get(DRIFT, params={"days": 90})).json()

    assert (drift["model"], drift["alias"], drift["versions"]) == ("pet-cnn", "production", [1])
    assert (drift["state"], drift["without_reference"], drift["predictions"]) == ("no_reference", ["pet-cnn@1"], 3)
    assert [(row["day"], row["predictions"], row["alarm"]) for row in drift["days"]] == [(str(day), 3, False)]


@pytest.mark.usefixtures("model")
async def test_an_unknown_alias_or_too_many_days_are_refused(client: httpx.AsyncClient) -> None:
    assert "no alias production" in problem(await client.get(DRIFT), 404, "not_found").detail
    problem(await client.get(DRIFT, params={"days": 91}), 422, "invalid")
