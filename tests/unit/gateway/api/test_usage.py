"""/v1/usage"""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from contract.access import Scope
from contract.usage import Purpose, StorageCategory, Stored, Use
from services.storage.stores import Stores
from tests.examples import WHEN
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def used(stores: Stores) -> None:
    """Some replica-seconds of today."""
    stores.ledger.add("inference", False, {Use(Purpose.READY): 20.0, Use(Purpose.ONLINE, "pet-cnn"): 4.0})


async def test_usage_is_by_day_by_default(client: httpx.AsyncClient, stores: Stores) -> None:
    today = stores.database.now().date()

    result = (await client.get("/v1/usage")).json()

    assert (result["since"], result["until"], result["by"]) == (str(today - timedelta(days=29)), str(today), "day")
    assert result["items"][-1]["key"] == str(today)
    assert (result["items"][-1]["ready_s"], result["items"][-1]["online_s"]) == (20.0, 4.0)


async def test_usage_is_grouped_by_model(client: httpx.AsyncClient) -> None:
    (line,) = (await client.get("/v1/usage?by=model")).json()["items"]

    assert (line["key"], line["online_s"], line["ready_s"], line["at_max_s"]) == ("pet-cnn", 4.0, None, None)


async def test_usage_is_limited_to_a_range_of_days(client: httpx.AsyncClient) -> None:
    result = await client.get("/v1/usage?by=model&since=2020-01-01&until=2020-12-31")

    assert result.json()["items"] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("since=2020-01-02&until=2020-01-01", "since"),
        ("since=2020-01-01&until=2021-01-01", "days"),
        ("since=soon", "since"),
        ("until=0", "until"),
        ("by=owner", "by"),
        ("limit=0", "limit"),
    ],
)
async def test_an_invalid_query_is_refused(client: httpx.AsyncClient, query: str, named: str) -> None:
    refused = problem(await client.get(f"/v1/usage?{query}"), 422, "invalid")

    assert named in refused.detail


async def test_usage_needs_the_read_scope(client_with: Callable[..., httpx.AsyncClient]) -> None:
    refused = problem(await client_with(Scope.PREDICT).get("/v1/usage"), 403, "forbidden")

    assert "read" in refused.detail


async def test_storage_is_that_of_the_project_or_of_all(
    client: httpx.AsyncClient, stores: Stores, client_with: Callable[..., httpx.AsyncClient]
) -> None:
    # given what the storage process has counted
    assert (await client.get("/v1/usage/storage")).json()["measured_at"] is None
    uploads, models = StorageCategory.UPLOADS, StorageCategory.MODELS
    own, other = Stored(objects=2, bytes=70), Stored(objects=1, bytes=5)
    await client.post("/v1/projects", json={"name": "lab"})
    stores.storage.replace({("default", uploads): own, ("lab", uploads): other, ("lab", models): other}, WHEN)

    # then a project sees its own, and the instance's admin all of them
    mine = (await client.get("/v1/usage/storage")).json()
    assert (mine["objects"], mine["bytes"], mine["projects"]) == (2, 70, None)
    assert mine["categories"] == {"uploads": {"objects": 2, "bytes": 70}}
    lab = (await client.get("/v1/usage/storage", headers={"Tidepool-Project": "lab"})).json()
    assert (lab["bytes"], list(lab["categories"])) == (10, ["uploads", "models"])
    everything = (await client.get("/v1/usage/storage?all=true")).json()
    assert (everything["bytes"], everything["categories"]["uploads"]["bytes"]) == (80, 75)
    assert [(shown["project"], shown["bytes"]) for shown in everything["projects"]] == [("default", 70), ("lab", 10)]
    reader = client_with(Scope.READ)
    assert (await reader.get("/v1/usage/storage")).json() == mine
    problem(await reader.get("/v1/usage/storage?all=true"), 403, "forbidden")
