"""A job or a new version may name a prefix of an object store as its source, if the operator allows it."""

import json

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

JOB = {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"s3": "s3://photos/pets"}}}
VERSIONS = "/v1/datasets/pets/versions"
SOURCE = {"source": {"s3": "s3://photos/pets"}}


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_S3_SOURCES", json.dumps({"own": {"buckets": ["photos"]}}))


async def test_a_source_that_the_operator_does_not_allow_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=JOB)

    assert response.status_code == 422
    assert response.json()["detail"] == (
        "s3://photos/pets is not a source that the operator allows; see the setting TIDEPOOL_S3_SOURCES"
    )


@pytest.mark.usefixtures("allowed")
async def test_a_source_that_the_operator_allows_is_accepted(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=JOB)

    assert response.status_code == 202
    assert response.json()["spec"]["source"] == {"s3": "s3://photos/pets"}


async def test_an_unknown_source_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=JOB | {"spec": {"dataset": "pets", "source": {"http": "x"}}})

    assert response.status_code == 422
    assert "must name an upload or an s3 prefix" in response.text


@pytest.mark.usefixtures("allowed")
async def test_a_version_is_made_from_a_source(client: httpx.AsyncClient) -> None:
    body = SOURCE | {"image": {"size": [8, 16], "mode": "L"}, "layout": {"class_level": "leaf"}, "strict": True}

    response = await client.post(VERSIONS, json=body)

    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["spec"]["dataset"]) == ("preprocess", "queued", "pets")
    assert job["spec"]["source"] == {"s3": "s3://photos/pets"}
    assert job["spec"]["image"] == {"size": [8, 16], "mode": "L", "resize": "auto"}
    assert (job["spec"]["layout"]["class_level"], job["spec"]["strict"]) == ("leaf", True)


@pytest.mark.usefixtures("allowed")
async def test_a_repeated_request_for_a_version_of_a_source_creates_one_job(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = (await client.post(VERSIONS, json=SOURCE, headers=headers)).json()

    again = await client.post(VERSIONS, json=SOURCE, headers=headers)
    other = await client.post(VERSIONS, json=SOURCE | {"strict": True}, headers=headers)

    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    problem(other, 422, "invalid")


async def test_a_version_is_made_from_a_complete_upload(client: httpx.AsyncClient, stores: Stores) -> None:
    ref = stores.objects.put(Bucket.UPLOADS, "u", b"PK, an archive")
    upload = stores.of(DEFAULT_PROJECT).uploads.add("pets.zip", ref)

    response = await client.post(VERSIONS, json={"source": {"upload": upload.id}})

    assert response.status_code == 202
    assert response.json()["spec"]["source"] == {"upload": upload.id}


async def test_a_version_of_an_unknown_upload_is_not_found(client: httpx.AsyncClient) -> None:
    upload = "01a20c69-671c-75b4-9e31-a6c00b050a58"

    response = await client.post(VERSIONS, json={"source": {"upload": upload}})

    assert problem(response, 404, "not_found").detail == "there is no such upload"


async def test_a_version_of_a_source_that_the_operator_does_not_allow_is_refused(client: httpx.AsyncClient) -> None:
    assert "TIDEPOOL_S3_SOURCES" in problem(await client.post(VERSIONS, json=SOURCE), 422, "invalid").detail


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ({}, "source", "required"),
        ({"source": {"http": "x"}}, "source", "must name an upload or an s3 prefix"),
        ({"source": {"s3": "https://photos/pets"}}, "source.s3", "match pattern"),
        (SOURCE | {"dataset": "cars"}, "dataset", "there is no field dataset"),
        (SOURCE | {"image": {"size": [0, 1]}}, "image.size[0]", "greater than or equal to 1"),
        ([], "body", "object"),
    ],
)
async def test_an_invalid_source_of_a_version_is_refused(
    client: httpx.AsyncClient, body: object, where: str, message: str
) -> None:
    (fault,) = problem(await client.post(VERSIONS, json=body), 422, "invalid").errors

    assert fault.where == where
    assert message in fault.message


async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    response = await client.post(VERSIONS, content=b"PK", headers={"Content-Type": "application/json"})

    assert problem(response, 400, "malformed").detail == "the body is not JSON"
    assert objects.content == {}
