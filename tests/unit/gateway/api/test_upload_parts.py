"""/v1/uploads/{id}/parts"""

import hashlib

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, upload_key
from services.storage.catalog import upload_parts
from services.storage.memory_objects import MemoryObjects
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

CONTENT = b"aaaabbbbcc"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts, "PART_BYTES", 4)


async def announced(client: httpx.AsyncClient, sha256: str | None = None) -> str:
    body = {"filename": "a.zip", "size": len(CONTENT), "sha256": sha256}
    upload = (await client.post("/v1/uploads", json=body)).json()
    assert upload["part_size"] == 4
    return f"/v1/uploads/{upload['id']}"


async def put(client: httpx.AsyncClient, upload: str, number: int, data: bytes | None = None) -> httpx.Response:
    part = CONTENT[(number - 1) * 4 : number * 4] if data is None else data
    return await client.put(f"{upload}/parts/{number}", content=part)


async def stored(client: httpx.AsyncClient, upload: str) -> list[tuple[int, int]]:
    parts = (await client.get(f"{upload}/parts")).json()["parts"]
    return [(part["number"], part["size"]) for part in parts]


async def test_parts_in_any_order_become_the_file(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    upload = await announced(client, hashlib.sha256(CONTENT).hexdigest())
    assert await stored(client, upload) == []

    for number in (3, 1, 1):
        assert (await put(client, upload, number)).status_code == 204
    assert await stored(client, upload) == [(1, 4), (3, 2)]
    missing = problem(await client.post(f"{upload}/complete"), 422, "invalid").detail
    assert missing.startswith("1 of 3 parts are missing, the first is part 2")
    await put(client, upload, 2)

    assert (await client.post(f"{upload}/complete")).json()["complete"]
    key = upload_key(upload.rpartition("/")[2], DEFAULT_PROJECT)
    assert objects.content[Bucket.UPLOADS, key] == CONTENT
    assert (objects.parts, objects.multipart.open) == ({}, {})
    assert (await client.post(f"{upload}/complete")).json()["complete"]
    assert (await client.get(f"{upload}/parts")).json()["complete"]


@pytest.mark.parametrize(("number", "data"), [(1, b"aaa"), (3, b"cccc"), (4, b"d"), (9999, b"")])
async def test_a_part_that_the_upload_does_not_have_is_refused(
    client: httpx.AsyncClient, objects: MemoryObjects, number: int, data: bytes
) -> None:
    upload = await announced(client)

    problem(await put(client, upload, number, data), 422, "invalid")
    problem(await put(client, upload, number, bytes(5)), 413, "too_large")  # more than any part has

    async def chunks():  # type: ignore[no-untyped-def]  # without a Content-Length
        yield data

    problem(await client.put(f"{upload}/parts/{number}", content=chunks()), 422, "invalid")
    assert objects.multipart.received == 0


async def test_a_complete_upload_takes_no_parts(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    upload = await announced(client)
    objects.put(Bucket.UPLOADS, upload.rpartition("/")[2], CONTENT)  # by the presigned URL of all of it
    assert await stored(client, upload) == [(1, 4), (2, 4), (3, 2)]
    await client.post(f"{upload}/complete")

    problem(await put(client, upload, 1), 409, "conflict")
    problem(await client.post(f"{upload}/parts/1/url"), 409, "conflict")


async def test_bytes_with_another_hash_are_sent_anew(client: httpx.AsyncClient) -> None:
    upload = await announced(client, hashlib.sha256(CONTENT).hexdigest())
    for number, data in enumerate((b"xxxx", b"yyyy", b"zz"), 1):
        await put(client, upload, number, data)
    assert "sha256" in problem(await client.post(f"{upload}/complete"), 422, "invalid").detail

    assert await stored(client, upload) == []
    for number in (1, 2, 3):
        await put(client, upload, number)
    assert (await client.post(f"{upload}/complete")).json()["complete"]


async def test_parts_that_the_object_store_has_lost_are_sent_anew(
    client: httpx.AsyncClient, objects: MemoryObjects
) -> None:
    upload = await announced(client)
    await put(client, upload, 1)
    objects.multipart.open.clear()

    assert (await put(client, upload, 2)).status_code == 204
    assert await stored(client, upload) == [(2, 4)]

    objects.multipart.open.clear()
    assert await stored(client, upload) == []


async def test_the_presigned_url_of_a_part_is_for_its_size(client: httpx.AsyncClient) -> None:
    upload = await announced(client)

    url = (await client.post(f"{upload}/parts/3/url")).json()["url"]

    assert "partNumber=3" in url
    assert url.endswith("size=2")
    problem(await client.post(f"{upload}/parts/4/url"), 422, "invalid")


async def test_the_parts_of_a_deleted_upload_are_deleted(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    upload = await announced(client)
    await put(client, upload, 1)

    assert (await client.delete(upload)).status_code == 204

    assert (objects.parts, objects.multipart.open) == ({}, {})
    for response in (await put(client, upload, 1), await client.get(f"{upload}/parts")):
        problem(response, 404, "not_found")


def test_parts_grow_with_the_file_to_be_at_most_ten_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts, "PART_BYTES", 8 << 20)
    assert upload_parts.part_size(1) == 8 << 20
    assert -(-(1 << 40) // upload_parts.part_size(1 << 40)) <= 10_000
