"""/v1/uploads"""

import hashlib

import httpx
import pytest

from contract.artifacts import Bucket
from services.storage.memory_objects import MemoryObjects
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS

pytestmark = pytest.mark.anyio

ARCHIVE = b"PK, an archive"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


async def test_an_announced_upload_is_completed_and_used(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    # given an announced file
    announced = await client.post("/v1/uploads", json={"filename": "pets.zip", "size": len(ARCHIVE), "sha256": SHA256})
    assert announced.status_code == 201
    upload = announced.json()
    assert upload["complete"] is False
    assert upload["id"] in upload["url"]
    assert f"size={len(ARCHIVE)}" in upload["url"]

    # when the file is stored
    objects.put(Bucket.UPLOADS, upload["id"], ARCHIVE)
    completed = await client.post(f"/v1/uploads/{upload['id']}/complete")

    # then it is complete, and a job can use it
    assert completed.status_code == 201
    assert (completed.json()["complete"], completed.json()["sha256"]) == (True, SHA256)
    assert "url" not in completed.json()
    job = {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"upload": upload["id"]}}}
    assert (await client.post("/v1/jobs", json=job)).status_code == 202


async def test_a_file_that_differs_from_its_announcement_is_refused(
    client: httpx.AsyncClient, objects: MemoryObjects
) -> None:
    longer = {"filename": "a.zip", "size": len(ARCHIVE) + 1}
    other = {"filename": "a.zip", "size": len(ARCHIVE), "sha256": "0" * 64}

    for announcement, reason in ((longer, "bytes were announced"), (other, "the announced sha256")):
        upload = (await client.post("/v1/uploads", json=announcement)).json()
        objects.put(Bucket.UPLOADS, upload["id"], ARCHIVE)
        response = await client.post(f"/v1/uploads/{upload['id']}/complete")
        assert reason in problem(response, 422, "invalid").detail


async def test_an_empty_file_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/uploads", json={"filename": "labels.csv", "size": 0})

    assert problem(response, 422, "invalid").detail == "size: the file is empty"


async def test_a_file_of_another_size_is_refused_without_reading_it(
    client: httpx.AsyncClient, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1})).json()
    objects.put(Bucket.UPLOADS, upload["id"], ARCHIVE)
    monkeypatch.delattr(MemoryObjects, "adopt")

    response = await client.post(f"/v1/uploads/{upload['id']}/complete")

    assert f"1 bytes were announced and {len(ARCHIVE)}" in problem(response, 422, "invalid").detail


async def test_an_upper_case_hash_is_taken(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    announcement = {"filename": "a.zip", "size": len(ARCHIVE), "sha256": SHA256.upper()}
    upload = (await client.post("/v1/uploads", json=announcement)).json()
    objects.put(Bucket.UPLOADS, upload["id"], ARCHIVE)

    completed = await client.post(f"/v1/uploads/{upload['id']}/complete")

    assert (completed.status_code, completed.json()["sha256"]) == (201, SHA256)


async def test_completing_an_upload_without_a_file_is_refused(client: httpx.AsyncClient) -> None:
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1})).json()

    response = await client.post(f"/v1/uploads/{upload['id']}/complete")

    assert problem(response, 404, "not_found").detail.startswith("the file was not uploaded yet")


async def test_an_unknown_upload_is_not_found(client: httpx.AsyncClient) -> None:
    for response in (await client.post("/v1/uploads/none/complete"), await client.delete("/v1/uploads/none")):
        assert problem(response, 404, "not_found").detail == "there is no such upload"


async def test_an_upload_that_a_job_needs_is_not_deleted(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    # given an upload with a job
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": len(ARCHIVE)})).json()["id"]
    objects.put(Bucket.UPLOADS, upload, ARCHIVE)
    await client.post(f"/v1/uploads/{upload}/complete")
    spec = {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"upload": upload}}}
    job = (await client.post("/v1/jobs", json=spec)).json()["id"]
    problem(await client.delete(f"/v1/uploads/{upload}"), 409, "conflict")

    # when the job is cancelled and deleted
    problem(await client.delete(f"/v1/jobs/{job}"), 409, "conflict")
    await client.post(f"/v1/jobs/{job}/cancel")
    assert (await client.delete(f"/v1/jobs/{job}")).status_code == 204

    # then the upload has gone with it
    problem(await client.get(f"/v1/jobs/{job}"), 404, "not_found")
    problem(await client.delete(f"/v1/uploads/{upload}"), 404, "not_found")


async def test_an_announced_upload_is_deleted(client: httpx.AsyncClient) -> None:
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1})).json()["id"]

    assert (await client.delete(f"/v1/uploads/{upload}")).status_code == 204

    problem(await client.post(f"/v1/uploads/{upload}/complete"), 404, "not_found")


async def test_a_file_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    size = SETTINGS.max_upload_bytes

    assert (await client.post("/v1/uploads", json={"filename": "a.zip", "size": size})).status_code == 201
    response = await client.post("/v1/uploads", json={"filename": "a.zip", "size": size + 1})

    assert str(size) in problem(response, 413, "too_large").detail


@pytest.mark.parametrize(
    "change",
    [{"filename": ""}, {"filename": "x" * 256}, {"size": 0}, {"size": 1.5}, {"sha256": "A" * 63}, {"path": "/etc"}],
    ids=str,
)
async def test_an_invalid_announcement_is_refused(client: httpx.AsyncClient, change: dict[str, object]) -> None:
    (field,) = change

    result = problem(await client.post("/v1/uploads", json={"filename": "a.zip", "size": 1} | change), 422, "invalid")

    assert result.errors[0].where == field
