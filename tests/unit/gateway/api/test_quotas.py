"""Quotas of a project: set by the instance's admin, and kept by everything that submits or uploads."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role, Scope
from contract.artifacts import Bucket
from contract.jobs import JobKind
from contract.usage import Purpose, Use
from services.storage.access.quotas import stored_bytes
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

TRAIN = {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"}}
NONE = {
    "stored_bytes": None,
    "live_jobs": None,
    "replica_seconds_per_month": None,
    "requests_per_minute": None,
    "requests_at_once": None,
    "upload_bytes": None,
}


@pytest.fixture
async def lab(client: httpx.AsyncClient, app: FastAPI, stores: Stores) -> httpx.AsyncClient:
    """A client with a key of a project with a dataset and a model; the default project has the same."""
    await client.post("/v1/projects", json={"name": "lab"})
    for project in ("lab", DEFAULT_PROJECT):
        publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, project)
        publish(stores, TRAIN_REQUEST, MODEL_MANIFEST, project)
    secret = stores.of("lab").keys.create("ann", Role.ADMIN).secret
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidepool", headers=headers)


async def change(client: httpx.AsyncClient, **quotas: int | None) -> Any:
    response = await client.patch("/v1/projects/lab", json={"quotas": quotas})
    assert response.status_code == 200, response.text
    return response.json()["quotas"]


def exceeded(response: httpx.Response, quota: str) -> str:
    """The message of a refusal because of a quota."""
    refusal = problem(response, 429, "quota_exceeded")
    assert (refusal.quota, response.headers["tidepool-quota"]) == (quota, quota)
    assert quota in refusal.detail
    assert int(response.headers["retry-after"]) > 0
    return refusal.detail


@pytest.mark.usefixtures("lab")
async def test_quotas_are_set_one_by_one_and_removed_by_null(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/projects/lab")).json()["quotas"] == NONE

    assert await change(client, live_jobs=3, upload_bytes=100) == NONE | {"live_jobs": 3, "upload_bytes": 100}
    assert await change(client, live_jobs=4) == NONE | {"live_jobs": 4, "upload_bytes": 100}
    assert await change(client, upload_bytes=None) == NONE | {"live_jobs": 4}

    project = (await client.get("/v1/projects/lab")).json()
    assert project["quotas"] == NONE | {"live_jobs": 4}
    assert (await client.patch("/v1/projects/lab", json={})).json() == project
    listed = (await client.get("/v1/projects")).json()["items"]
    assert [item["quotas"]["live_jobs"] for item in listed] == [None, 4]
    assert (await client.patch("/v1/projects/lab", json={"quotas": None})).json()["quotas"] == NONE


@pytest.mark.usefixtures("lab")
async def test_a_weight_is_one_unless_it_is_set(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/projects/lab")).json()["weight"] == 1

    changed = (await client.patch("/v1/projects/lab", json={"weight": 5, "description": "cats"})).json()

    assert (changed["weight"], changed["description"]) == (5, "cats")
    assert (await client.patch("/v1/projects/lab", json={"quotas": {"live_jobs": 1}})).json()["weight"] == 5


@pytest.mark.parametrize("quota", sorted(NONE))
@pytest.mark.parametrize("limit", [0, -1, 1.5, "1", True, 2**53])
@pytest.mark.usefixtures("lab")
async def test_a_quota_is_a_whole_number_from_one(client: httpx.AsyncClient, quota: str, limit: object) -> None:
    response = await client.patch("/v1/projects/lab", json={"quotas": {quota: limit}})

    assert problem(response, 422, "invalid").errors[0].where == f"quotas.{quota}"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"quotas": {"jobs": 1}}, "quotas.jobs"),
        ({"quotas": []}, "quotas"),
        ({"weight": 0}, "weight"),
        ({"weight": 101}, "weight"),
        ({"weight": None}, "weight"),
        ({"description": None}, "description"),
    ],
)
@pytest.mark.usefixtures("lab")
async def test_an_invalid_change_is_refused(client: httpx.AsyncClient, body: dict[str, object], where: str) -> None:
    refused = problem(await client.patch("/v1/projects/lab", json=body), 422, "invalid")

    assert [fault.where for fault in refused.errors] == [where]


async def test_only_the_instances_admin_sets_quotas_and_the_project_sees_them(
    client: httpx.AsyncClient, lab: httpx.AsyncClient
) -> None:
    await change(client, live_jobs=3)

    problem(await lab.patch("/v1/projects/lab", json={"quotas": {"live_jobs": 100}}), 403, "forbidden")
    assert (await lab.get("/v1/projects/lab")).json()["quotas"]["live_jobs"] == 3


async def test_a_project_with_as_many_live_jobs_as_its_quota_gets_no_more(
    client: httpx.AsyncClient, lab: httpx.AsyncClient, stores: Stores
) -> None:
    # given a project with two live jobs, one of which runs
    await change(client, live_jobs=2)
    once = {"Idempotency-Key": "once"}
    first = await lab.post("/v1/jobs", json=TRAIN, headers=once)
    second = (await lab.post("/v1/jobs", json=TRAIN)).json()
    assert first.status_code == 202
    assert stores.leases.claim(JobKind.TRAIN, "worker") is not None

    # then it gets no third one in any way, but the answer to a repeated request
    archive = {"archive": ("a.zip", b"PK")}
    source = {"source": {"s3": "s3://bucket/prefix"}}
    model, backbone = {"model": ("a.onnx", b"onnx")}, {"backbone": ("a", b"b"), "metadata": (None, '{"name": "net"}')}
    for response in (
        await lab.post("/v1/jobs", json=TRAIN),
        await lab.post("/v1/datasets/more/versions", files=archive),
        await lab.post("/v1/datasets/more/versions", json=source),
        await lab.post("/v1/models/more/versions", files=model),
        await lab.post("/v1/backbones", files=backbone),
    ):
        assert "is 2, and as many are queued or running" in exceeded(response, "live_jobs")
    assert (await lab.post("/v1/jobs", json=TRAIN, headers=once)).json() == first.json()

    # and another project is not affected
    for _ in range(3):
        assert (await client.post("/v1/jobs", json=TRAIN)).status_code == 202

    # when one has ended, there is room, also for a copy of it
    await lab.post(f"/v1/jobs/{second['id']}/cancel")
    assert (await lab.post(f"/v1/jobs/{second['id']}/retry")).status_code == 202
    exceeded(await lab.post("/v1/jobs", json=TRAIN), "live_jobs")


async def test_jobs_are_refused_when_the_replica_seconds_of_the_month_are_used(
    client: httpx.AsyncClient, lab: httpx.AsyncClient, stores: Stores
) -> None:
    await change(client, replica_seconds_per_month=100)
    stores.ledger.add("trainer", True, {Use(Purpose.JOB, "pet-cnn", "a-job", "lab"): 60.0})
    assert (await lab.post("/v1/jobs", json=TRAIN)).status_code == 202

    stores.ledger.add("inference", False, {Use(Purpose.ONLINE, "pet-cnn", project="lab"): 40.0})
    stores.ledger.add("trainer", False, {Use(Purpose.JOB): 1e6})  # of another project

    for response in (
        await lab.post("/v1/jobs", json=TRAIN),
        await lab.post("/v1/datasets/more/versions", files={"archive": ("a.zip", b"PK")}),
    ):
        exceeded(response, "replica_seconds_per_month")
    assert (await lab.get("/v1/jobs")).status_code == 200
    assert (await client.post("/v1/jobs", json=TRAIN)).status_code == 202


async def test_a_larger_upload_than_the_quota_is_refused(
    client: httpx.AsyncClient, lab: httpx.AsyncClient, objects: MemoryObjects
) -> None:
    await change(client, upload_bytes=100)
    large, fits = b"x" * 101, b"x" * 100

    for response in (
        await lab.post("/v1/uploads", json={"filename": "a.zip", "size": 101}),
        await lab.post("/v1/datasets/more/versions", files={"archive": ("a.zip", large)}),
        await lab.post("/v1/models/more/versions", files={"model": ("a.onnx", large)}),
        await lab.post("/v1/models/more/versions", files={"model": ("a", fits), "samples": ("b", b"x")}),
        await lab.post("/v1/backbones", files={"backbone": ("a", large), "metadata": (None, '{"name": "net"}')}),
    ):
        assert "is 100, and this upload has 101" in exceeded(response, "upload_bytes")

    assert list(objects.entries(Bucket.UPLOADS)) == []
    assert (await lab.post("/v1/uploads", json={"filename": "a.zip", "size": 100})).status_code == 201
    assert (await lab.post("/v1/datasets/more/versions", files={"archive": ("a.zip", fits)})).status_code == 202
    assert (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 101})).status_code == 201


async def test_an_upload_that_would_exceed_the_stored_bytes_is_refused(
    client: httpx.AsyncClient, lab: httpx.AsyncClient, objects: MemoryObjects, stores: Stores
) -> None:
    # given a project whose dataset and model take some bytes
    with stores.database.read() as connection:
        used = stored_bytes(connection, "lab")
    assert used > 0
    await change(client, stored_bytes=used + 50)

    # when it announces and sends more than there is room for
    announced = await lab.post("/v1/uploads", json={"filename": "a.zip", "size": 40})
    assert announced.status_code == 201
    for response in (
        await lab.post("/v1/uploads", json={"filename": "a.zip", "size": 11}),
        await lab.post("/v1/datasets/more/versions", files={"archive": ("a.zip", b"x" * 11)}),
    ):
        assert f"{used + 40} are stored or announced" in exceeded(response, "stored_bytes")

    # then what fits is accepted
    objects.put(Bucket.UPLOADS, f"lab/{announced.json()['id']}", b"x" * 40)
    assert (await lab.post(f"/v1/uploads/{announced.json()['id']}/complete")).status_code == 201
    assert (await lab.post("/v1/datasets/more/versions", files={"archive": ("a.zip", b"x" * 10)})).status_code == 202

    # and a project that has more than its quota gets no jobs
    await change(client, stored_bytes=used + 49)
    exceeded(await lab.post("/v1/jobs", json=TRAIN), "stored_bytes")
    assert (await client.post("/v1/jobs", json=TRAIN)).status_code == 202


async def test_event_streams_and_waits_count_as_requests(client: httpx.AsyncClient, lab: httpx.AsyncClient) -> None:
    job = (await lab.post("/v1/jobs", json=TRAIN)).json()
    await lab.post(f"/v1/jobs/{job['id']}/cancel")  # so that its events end
    await change(client, requests_per_minute=4)

    statuses = [
        (await lab.get(f"/v1/jobs/{job['id']}/events")).status_code,
        (await lab.get(f"/v1/jobs/{job['id']}", params={"wait": 1})).status_code,
        (await lab.get("/v1/jobs")).status_code,
        (await lab.get("/v2")).status_code,
    ]

    assert statuses == [200] * 4
    for path in (f"/v1/jobs/{job['id']}/events", f"/v1/jobs/{job['id']}?wait=1", "/v1/me"):
        exceeded(await lab.get(path), "requests_per_minute")
    refused = await lab.get("/v2/models/pet-cnn")
    assert (refused.status_code, refused.headers["tidepool-quota"]) == (429, "requests_per_minute")
    assert refused.json()["error"].startswith("the project's quota requests_per_minute is 4")
    assert (await lab.get("/livez")).status_code == 200


async def test_a_browsers_session_counts_like_its_key(
    client: httpx.AsyncClient, lab: httpx.AsyncClient, app: FastAPI, stores: Stores
) -> None:
    await change(client, requests_per_minute=2)
    (key,) = stores.of("lab").keys.list()
    cookies = {"tidepool": stores.sessions.create(key.id)}

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://tidepool", cookies=cookies
    ) as browser:
        assert [(await browser.get("/v1/jobs")).status_code for _ in range(2)] == [200, 200]
        exceeded(await browser.get("/v1/jobs"), "requests_per_minute")
        exceeded(await lab.get("/v1/jobs"), "requests_per_minute")


async def test_a_key_made_later_counts_for_the_same_project(client: httpx.AsyncClient, lab: httpx.AsyncClient) -> None:
    await change(client, requests_per_minute=2)
    made = await lab.post("/v1/keys", json={"name": "bob", "scopes": [Scope.READ]})
    bob = {"Authorization": f"Bearer {made.json()['secret']}"}

    assert (await lab.get("/v1/jobs", headers=bob)).status_code == 200
    exceeded(await lab.get("/v1/jobs", headers=bob), "requests_per_minute")
