"""/v1/audit"""

import httpx
import pytest

from contract.jobs import Job
from services.storage.stores import Stores
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("model")
async def test_the_audit_trail_says_who_promoted_and_revoked(client: httpx.AsyncClient, stores: Stores) -> None:
    # given a promotion and a revoked key
    (key,) = stores.keys.list()
    await client.put("/v1/models/pet-cnn/aliases/production", json={"version": 1}, headers={"X-Request-ID": "promote"})
    other = (await client.post("/v1/keys", json={"name": "other", "role": "viewer"})).json()
    await client.delete(f"/v1/keys/{other['id']}")

    # when
    response = await client.get("/v1/audit")

    # then
    assert response.status_code == 200
    entries = response.json()["items"]
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("revoke", f"keys/{other['id']}"),
        ("create", f"keys/{other['id']}"),
        ("promote", "models/pet-cnn@production"),
    ]
    assert {(entry["actor"], entry["actor_name"]) for entry in entries} == {(key.id, "test")}
    assert entries[-1]["request_id"] == "promote"


@pytest.mark.usefixtures("model")
async def test_the_audit_trail_is_filtered(client: httpx.AsyncClient) -> None:
    await client.put("/v1/models/pet-cnn/aliases/production", json={"version": 1})
    await client.delete("/v1/models/pet-cnn/aliases/production")

    async def actions(**query: str) -> list[str]:
        response = await client.get("/v1/audit", params=query)
        assert response.status_code == 200
        return [entry["action"] for entry in response.json()["items"]]

    assert await actions() == ["delete", "promote"]
    assert await actions(action="promote") == ["promote"]
    assert await actions(subject="models/pet-cnn", limit="1") == ["delete"]
    assert await actions(subject="models/pet") == []
    assert await actions(actor="0123abcd") == []
    assert await actions(until="2000-01-01T00:00:00Z") == []
    assert await actions(since="2000-01-01T00:00:00+01:00") == ["delete", "promote"]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"since": "2026-01-01T00:00:00"}, "query.since"),
        ({"until": "9999-12-31T23:59:59-12:00"}, "query.until"),
        ({"action": "steal"}, "query.action"),
        ({"since": "yesterday"}, "query.since"),
        ({"since": "0.5"}, "query.since"),
        ({"until": "1790000000"}, "query.until"),
    ],
)
async def test_an_invalid_filter_is_refused(client: httpx.AsyncClient, query: dict[str, str], where: str) -> None:
    assert problem(await client.get("/v1/audit", params=query), 422, "invalid").errors[0].where == where


async def test_a_submitted_and_a_cancelled_job_are_recorded(client: httpx.AsyncClient, dataset: Job) -> None:
    body = {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"}}
    job = (await client.post("/v1/jobs", json=body)).json()["id"]
    await client.post(f"/v1/jobs/{job}/cancel")

    entries = (await client.get("/v1/audit", params={"subject": f"jobs/{job}"})).json()["items"]

    assert [(entry["action"], entry["detail"]) for entry in entries] == [("cancel", ""), ("create", "train pet-cnn")]
