"""/v1/projects and the header Tidepool-Project"""

from collections.abc import Callable

import httpx
import pytest

from contract.access import Scope
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

LAB = {"Tidepool-Project": "lab"}


async def test_a_project_gets_its_first_key_from_the_instances_admin(client: httpx.AsyncClient) -> None:
    # given a new project and a key made in it
    created = await client.post("/v1/projects", json={"name": "lab", "description": "cats"})
    assert (created.status_code, created.json()["description"]) == (201, "cats")
    made = await client.post("/v1/keys", json={"name": "ann", "role": "admin"}, headers=LAB)
    assert made.json()["project"] == "lab"
    ann = {"Authorization": f"Bearer {made.json()['secret']}"}

    # when the key uploads something
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1}, headers=ann)).json()

    # then it is in the project, under a key with its name
    assert f"/lab/{upload['id']}" in upload["url"] or upload["url"].endswith(f"lab/{upload['id']}")
    assert (await client.post(f"/v1/uploads/{upload['id']}/complete", headers=LAB)).status_code == 404  # no file yet
    assert [key["name"] for key in (await client.get("/v1/keys", headers=ann)).json()["items"]] == ["ann"]
    assert [key["name"] for key in (await client.get("/v1/keys")).json()["items"]] == ["test"]

    # and the key sees and names only its project
    projects = (await client.get("/v1/projects", headers=ann)).json()["items"]
    assert [project["name"] for project in projects] == ["lab"]
    problem(await client.get("/v1/projects/default", headers=ann), 404, "not_found")
    problem(await client.get("/v1/jobs", headers=ann | {"Tidepool-Project": "default"}), 403, "forbidden")
    problem(await client.post("/v1/projects", json={"name": "x"}, headers=ann), 403, "forbidden")


async def test_projects_are_listed_changed_and_deleted(client: httpx.AsyncClient) -> None:
    await client.post("/v1/projects", json={"name": "lab"})
    problem(await client.post("/v1/projects", json={"name": "lab"}), 409, "conflict")

    changed = await client.patch("/v1/projects/lab", json={"description": "dogs"})

    assert changed.json()["description"] == "dogs"
    names = [project["name"] for project in (await client.get("/v1/projects")).json()["items"]]
    assert names == ["default", "lab"]
    problem(await client.delete("/v1/projects/default"), 409, "conflict")
    assert (await client.delete("/v1/projects/lab")).status_code == 204
    problem(await client.get("/v1/projects/lab"), 404, "not_found")
    problem(await client.get("/v1/jobs", headers=LAB), 404, "not_found")


async def test_a_purge_revokes_the_keys_and_is_a_job_of_the_default_project(client: httpx.AsyncClient) -> None:
    # given a project with a key and a job
    await client.post("/v1/projects", json={"name": "lab"})
    made = (await client.post("/v1/keys", json={"name": "ann", "role": "admin"}, headers=LAB)).json()
    ann = {"Authorization": f"Bearer {made['secret']}"}
    await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1}, headers=ann)
    assert "?purge=true" in problem(await client.delete("/v1/projects/lab"), 409, "conflict").detail
    problem(await client.delete("/v1/projects/lab?purge=true", headers=ann), 403, "forbidden")

    # when it is purged, also twice
    responses = [await client.delete("/v1/projects/lab?purge=true") for _ in range(2)]

    # then it is gone at once, and a job says how far it is
    assert [response.status_code for response in responses] == [202, 202]
    job = responses[0].json()
    assert (job["kind"], job["spec"], job["state"]) == ("purge", {"project": "lab"}, "queued")
    assert responses[1].json()["id"] == job["id"]
    assert (await client.get(responses[0].headers["Location"])).json()["id"] == job["id"]
    problem(await client.get("/v1/me", headers=ann), 401, "unauthenticated")
    problem(await client.get("/v1/projects/lab"), 404, "not_found")
    problem(await client.get("/v1/jobs", headers=LAB), 404, "not_found")
    problem(await client.post("/v1/projects", json={"name": "lab"}), 409, "conflict")
    problem(await client.post(f"/v1/jobs/{job['id']}/cancel"), 409, "conflict")
    problem(await client.delete("/v1/projects/default?purge=true"), 409, "conflict")
    problem(await client.delete("/v1/projects/none?purge=true"), 404, "not_found")


async def test_nobody_submits_a_purge(client: httpx.AsyncClient) -> None:
    await client.post("/v1/projects", json={"name": "lab"})

    response = await client.post("/v1/jobs", json={"kind": "purge", "spec": {"project": "lab"}})

    assert "kind must be one of" in problem(response, 422, "invalid").detail
    assert (await client.get("/v1/projects/lab")).status_code == 200


async def test_the_retention_of_a_project_is_set_and_taken_back(client: httpx.AsyncClient) -> None:
    await client.post("/v1/projects", json={"name": "lab", "description": "cats"})
    nothing = {"jobs_days": None, "uploads_days": None, "versions": None}
    assert (await client.get("/v1/projects/lab")).json()["retention"] == nothing

    changed = await client.patch("/v1/projects/lab", json={"retention": {"jobs_days": 90, "versions": {"days": 30}}})
    assert changed.json()["description"] == "cats"
    versions = {"days": 30, "keep_last": 1, "trained_on": False}
    assert changed.json()["retention"] == {"jobs_days": 90, "uploads_days": None, "versions": versions}
    assert (await client.get("/v1/projects/lab")).json() == changed.json()

    changed = await client.patch("/v1/projects/lab", json={"retention": {}})
    assert changed.json()["retention"] == nothing
    for wrong in ({"jobs_days": 0}, {"jobs_days": 1.5}, {"days": 1}, {"versions": {"keep_last": 3}}, None):
        problem(await client.patch("/v1/projects/lab", json={"retention": wrong}), 422, "invalid")


@pytest.mark.parametrize("name", ["none", "", "../x", "x" * 100])
async def test_an_unknown_project_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get("/v1/jobs", headers={"Tidepool-Project": name})

    assert problem(response, 404, "not_found").detail.startswith(f"there is no project {name[:80]!r}"[:-1])


async def test_an_idempotency_key_is_used_once_in_each_project(client: httpx.AsyncClient) -> None:
    await client.post("/v1/projects", json={"name": "lab"})
    body, once = {"filename": "a.zip", "size": 1}, {"Idempotency-Key": "once"}

    ids = [
        (await client.post("/v1/uploads", json=body, headers=once | project)).json()["id"]
        for project in ({}, LAB, {}, LAB)
    ]

    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]


async def test_a_key_of_another_scope_sees_its_project(client_with: Callable[..., httpx.AsyncClient]) -> None:
    reader = client_with(Scope.READ)

    assert [project["name"] for project in (await reader.get("/v1/projects")).json()["items"]] == ["default"]
    assert (await reader.get("/v1/projects", params={"cursor": "default"})).json()["items"] == []
    assert (await reader.get("/v1/projects/default")).status_code == 200
