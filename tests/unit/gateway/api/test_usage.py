"""/v1/usage"""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from contract.access import Scope
from contract.usage import Purpose, Use
from services.storage.stores import Stores
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
    "query",
    [
        "since=2020-01-02&until=2020-01-01",
        "since=2020-01-01&until=2021-01-01",
        "since=soon",
        "until=0",
        "by=owner",
        "limit=0",
    ],
)
async def test_an_invalid_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    problem(await client.get(f"/v1/usage?{query}"), 422, "invalid")


async def test_usage_needs_the_read_scope(client_with: Callable[..., httpx.AsyncClient]) -> None:
    problem(await client_with(Scope.PREDICT).get("/v1/usage"), 403, "forbidden")
