"""/v1/pools"""

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Scope
from contract.pools import Measured
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging.in_memory import MemoryReports
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

READY = ReplicaReport(job=False, busy=0.25, draining=False)
DRAINING = ReplicaReport(job=True, busy=1.0, draining=True)


async def test_every_pool_is_listed(client: httpx.AsyncClient, stores: Stores, reports: MemoryReports) -> None:
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    reports.reported = {"preprocess": PoolReports(replicas={"a": READY, "b": DRAINING})}

    response = await client.get("/v1/pools")

    assert response.status_code == 200
    pools = response.json()["items"]
    assert [pool["name"] for pool in pools] == ["preprocess", "trainer", "inference"]
    assert pools[0]["mode"] == "manual"
    assert pools[0]["replicas"] == {
        "desired": 1,
        "created": None,
        "ready": 1,
        "draining": 1,
        "min": 1,
        "max": 4,
    }
    assert (pools[0]["queue"]["waiting"], pools[0]["queue"]["running"]) == (1, 0)
    assert (await client.get("/v1/pools/preprocess")).json()["replicas"] == pools[0]["replicas"]


async def test_fields_from_the_broker_are_null_while_it_is_down(
    client: httpx.AsyncClient, reports: MemoryReports
) -> None:
    reports.reported = None

    inference = (await client.get("/v1/pools/inference")).json()
    trainer = (await client.get("/v1/pools/trainer")).json()

    assert (inference["replicas"]["desired"], inference["replicas"]["ready"]) == (1, None)
    assert (inference["queue"]["waiting"], trainer["queue"]["waiting"]) == (None, 0)


async def test_a_pool_shows_how_many_replicas_compose_has_created(client: httpx.AsyncClient, stores: Stores) -> None:
    measured = Measured(at=0.0, ready=1, waiting=0, running=0)
    stores.pools.record_created(stores.pools.get("inference"), 3, measured, by_people=True)

    inference = (await client.get("/v1/pools/inference")).json()

    assert (inference["replicas"]["desired"], inference["replicas"]["created"]) == (3, 3)


async def test_a_pool_is_set_to_a_manual_size(client: httpx.AsyncClient) -> None:
    response = await client.patch("/v1/pools/inference", json={"mode": "manual", "replicas": 3})

    assert response.status_code == 200
    assert response.json()["replicas"]["desired"] == 3
    assert (await client.get("/v1/pools/inference")).json() == response.json()


async def test_a_pool_is_set_to_scale_automatically(client: httpx.AsyncClient) -> None:
    policy = {"mode": "auto", "min": 2, "max": 8, "idle_s": 30, "utilization": None}

    response = await client.patch("/v1/pools/inference", json=policy)

    assert response.status_code == 200
    pool = response.json()
    assert pool["mode"] == "auto"
    assert (pool["replicas"]["desired"], pool["replicas"]["min"], pool["replicas"]["max"]) == (2, 2, 8)
    assert (pool["policy"]["idle_s"], pool["policy"]["utilization"]) == (30, None)
    assert pool["policy"]["backlog_per_replica"] == 16


async def test_the_history_shows_the_reason_of_a_change(client: httpx.AsyncClient, reports: MemoryReports) -> None:
    reports.reported = {"inference": PoolReports({"a": READY}, {"g": GatewayReport(waiting=2, per_minute=60.0)})}
    for count in (2, 3):
        await client.patch("/v1/pools/inference", json={"mode": "manual", "replicas": count})

    page = (await client.get("/v1/pools/inference/history?limit=1")).json()
    (change,) = page["items"]
    second_page = (await client.get("/v1/pools/inference/history", params={"cursor": page["next"]})).json()

    assert (change["desired"], change["ready"], change["waiting"]) == (3, 1, 2)
    assert change["reason"] == "set by hand to 3"
    assert [older["desired"] for older in second_page["items"]] == [2]
    assert second_page["next"] is None


async def test_demand_is_the_number_of_waiting_and_running_jobs(
    client: httpx.AsyncClient, stores: Stores, reports: MemoryReports
) -> None:
    for _ in range(3):
        stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    stores.leases.claim(PREPROCESS_REQUEST.kind, "worker")

    response = await client.get("/v1/pools/preprocess/demand")

    assert response.json() == {"value": 3, "waiting": 2, "running": 1, "desired": 1}


async def test_unknown_demand_is_503(client: httpx.AsyncClient, reports: MemoryReports) -> None:
    reports.reported = None

    problem(await client.get("/v1/pools/inference/demand"), 503, "broker_unavailable")
    assert (await client.get("/v1/pools/trainer/demand")).json()["value"] == 0


@pytest.mark.parametrize("path", ["", "/history", "/demand"])
async def test_an_unknown_pool_is_refused(client: httpx.AsyncClient, path: str) -> None:
    result = problem(await client.get(f"/v1/pools/cats{path}"), 422, "invalid")

    assert all(name in result.detail for name in ("preprocess", "trainer", "inference"))


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ({"mode": "manual", "replicas": 65}, "replicas", "at most 64"),
        ({"mode": "auto", "max": 65}, "max", "at most 64"),
        ({"mode": "auto", "min": 9, "max": 8}, "min", "min is 9 and max is 8"),
        ({"mode": "auto", "min": 5}, "min", "min is 5 and max is 4"),
        ({"mode": "manual"}, "replicas", "required"),
        ({"mode": "manual", "replicas": -1}, "replicas", "greater than or equal to 0"),
        ({"mode": "auto", "replicas": 1}, "replicas", "there is no field replicas"),
        ({"mode": "often"}, "body", "mode must be one of manual, auto"),
        ({"replicas": 1}, "body", "mode must be one of manual, auto"),
    ],
    ids=str,
)
async def test_an_invalid_policy_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], where: str, message: str
) -> None:
    detail = problem(await client.patch("/v1/pools/inference", json=body), 422, "invalid").detail

    assert where in detail
    assert message in detail
    assert (await client.get("/v1/pools/inference/history")).json()["items"] == []


async def test_the_stored_maximum_is_checked_against_the_settings(app: FastAPI, client: httpx.AsyncClient) -> None:
    backends = app.state.backends
    app.state.backends = replace(backends, settings=backends.settings.model_copy(update={"max_replicas": 2}))

    refused = problem(await client.patch("/v1/pools/inference", json={"mode": "auto"}), 422, "invalid")
    accepted = await client.patch("/v1/pools/inference", json={"mode": "auto", "max": 2})

    assert "max is 4" in refused.detail
    assert accepted.json()["replicas"]["max"] == 2


async def test_requests_per_minute_is_refused_for_a_job_pool(client: httpx.AsyncClient) -> None:
    target = {"mode": "auto", "requests_per_minute": 60}

    detail = problem(await client.patch("/v1/pools/trainer", json=target), 422, "invalid").detail

    assert "requests_per_minute only applies to inference" in detail
    assert (await client.patch("/v1/pools/trainer", json=target | {"requests_per_minute": None})).status_code == 200
    assert (await client.patch("/v1/pools/inference", json=target)).status_code == 200


async def test_reading_a_pool_needs_read_and_setting_it_needs_admin(
    client_with: Callable[..., httpx.AsyncClient],
) -> None:
    reader, writer = client_with(Scope.READ), client_with(Scope.WRITE)

    assert (await reader.get("/v1/pools")).status_code == 200
    assert (await reader.get("/v1/pools/inference/demand")).status_code == 200
    problem(await writer.get("/v1/pools/inference/history"), 403, "forbidden")
    for key in (reader, writer):
        problem(await key.patch("/v1/pools/inference", json={"mode": "manual", "replicas": 2}), 403, "forbidden")
