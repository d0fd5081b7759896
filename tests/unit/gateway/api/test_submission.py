"""Uploads that are refused before their bytes are read, or before they are stored."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket, ObjectRef
from contract.jobs import Job
from services.gateway.api import submission
from services.gateway.app import create_protocol
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.problems import problem
from tests.unit.gateway.fast_path.serving import serving

pytestmark = pytest.mark.anyio

TRAIN = {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"}}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


class CountedObjects(MemoryObjects):
    """An object store that counts the files that are written, also those that are deleted again."""

    writes = 0

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        self.writes += 1
        return super().put(bucket, key, source)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        return self.put(bucket, key, stream.read())


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that takes files."""

    path: str
    part: str
    data: dict[str, str]

    def body(self, content: bytes) -> bytes:
        """A multipart body with this file."""
        fields = {f'"{name}"': value.encode() for name, value in self.data.items()}
        parts = {f'"{self.part}"; filename="a"': content} | fields
        lines = [b"--x\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n" % (name.encode(), value)
                 for name, value in parts.items()]  # fmt: skip
        return b"".join(lines) + b"--x--\r\n"


ENDPOINTS = {
    "dataset": Endpoint("/v1/datasets/pets/versions", "archive", {"spec": '{"split": {"seed": 1}}'}),
    "model": Endpoint("/v1/models/pet-cnn/versions", "model", {}),
    "backbone": Endpoint("/v1/backbones", "backbone", {"metadata": '{"name": "mine"}'}),
}
each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)


@pytest.fixture
def objects() -> CountedObjects:
    return CountedObjects()


@dataclass
class Body:
    """A streamed body; `read` tells whether the gateway read any of it."""

    content: bytes
    read: bool = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        yield self.content


@pytest.fixture
def full(app: FastAPI, stores: Stores, dataset: Job) -> FastAPI:
    """The gateway with a full queue."""
    backends = app.state.backends
    app.state.backends = replace(backends, settings=backends.settings.model_copy(update={"max_queued_jobs": 1}))
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    return app


async def post(client: httpx.AsyncClient, endpoint: Endpoint, body: Body, key: str | None = None) -> httpx.Response:
    headers = FORM | {"Content-Length": str(len(body.content))} | ({"Idempotency-Key": key} if key else {})
    return await client.post(endpoint.path, content=body, headers=headers)


@each_endpoint
@pytest.mark.usefixtures("full")
async def test_a_full_queue_refuses_files_before_they_are_read(
    client: httpx.AsyncClient, objects: CountedObjects, endpoint: Endpoint
) -> None:
    body = Body(endpoint.body(b"x" * 1000))

    response = await post(client, endpoint, body, "never used")

    problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) > 0
    assert not body.read
    assert objects.writes == 0


@each_endpoint
async def test_a_key_that_was_used_for_a_file_of_another_size_is_refused_before_the_file_is_read(
    client: httpx.AsyncClient,
    objects: CountedObjects,
    app: FastAPI,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(submission, "FORM_BYTES", 500)
    monkeypatch.setattr(app.state.backends.settings, "max_upload_bytes", 1_000_000)
    assert (await post(client, endpoint, Body(endpoint.body(b"x" * 1000)), "k")).status_code == 202

    for size in (100, 100_000):
        body = Body(endpoint.body(b"x" * size))
        problem(await post(client, endpoint, body, "k"), 422, "invalid")
        assert not body.read

    assert objects.writes == 1


@each_endpoint
async def test_a_key_that_was_used_for_something_else_is_refused_before_the_file_is_read(
    client: httpx.AsyncClient, objects: CountedObjects, endpoint: Endpoint, dataset: Job
) -> None:
    # given keys used for a job, an upload, and a file for another dataset
    other = Endpoint("/v1/datasets/cars/versions", "archive", {})
    assert (await client.post("/v1/jobs", json=TRAIN, headers={"Idempotency-Key": "job"})).status_code == 202
    announcement = {"filename": "a.zip", "size": 1}
    used = await client.post("/v1/uploads", json=announcement, headers={"Idempotency-Key": "upload"})
    assert used.status_code == 201
    assert (await post(client, other, Body(other.body(b"x")), "other")).status_code == 202

    for key in ("job", "upload", "other"):
        body = Body(endpoint.body(b"x"))
        assert "Idempotency-Key" in problem(await post(client, endpoint, body, key), 422, "invalid").detail
        assert not body.read

    assert objects.writes == 1


@each_endpoint
async def test_other_content_of_the_same_size_is_refused_and_not_stored(
    client: httpx.AsyncClient, objects: CountedObjects, endpoint: Endpoint
) -> None:
    assert (await post(client, endpoint, Body(endpoint.body(b"one")), "k")).status_code == 202

    problem(await post(client, endpoint, Body(endpoint.body(b"two")), "k"), 422, "invalid")

    assert objects.writes == 1


@each_endpoint
async def test_a_repetition_gets_the_first_answer_and_is_not_stored(
    client: httpx.AsyncClient, objects: CountedObjects, endpoint: Endpoint
) -> None:
    first, again = [await post(client, endpoint, Body(endpoint.body(b"one")), "k") for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    assert objects.writes == 1


async def test_a_repetition_gets_the_first_answer_although_the_queue_is_full(
    client: httpx.AsyncClient, app: FastAPI, objects: CountedObjects
) -> None:
    endpoint = ENDPOINTS["dataset"]
    first = await post(client, endpoint, Body(endpoint.body(b"one")), "k")
    backends = app.state.backends
    app.state.backends = replace(backends, settings=backends.settings.model_copy(update={"max_queued_jobs": 1}))
    problem(await post(client, endpoint, Body(endpoint.body(b"one"))), 503, "overloaded")

    again = await post(client, endpoint, Body(endpoint.body(b"one")), "k")

    assert (again.status_code, again.json()) == (202, first.json())
    assert objects.writes == 1


@pytest.mark.parametrize("expect", ["Expect: 100-continue\r\n", ""], ids=["expects 100", "sends"])
async def test_the_refusal_comes_while_the_client_has_sent_only_headers(
    full: FastAPI, stores: Stores, expect: str
) -> None:
    secret = stores.keys.create("test", frozenset({Scope.WRITE})).secret
    async with serving(full, create_protocol(full.state.backends)) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        head = f"POST {ENDPOINTS['dataset'].path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n{expect}"
        writer.write(f"{head}Content-Type: {FORM['Content-Type']}\r\nContent-Length: 3000\r\n\r\n".encode())

        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer.lower()
        writer.close()


async def test_an_accepted_upload_gets_its_100_continue(app: FastAPI, stores: Stores, dataset: Any) -> None:
    secret = stores.keys.create("test", frozenset({Scope.WRITE})).secret
    endpoint = ENDPOINTS["dataset"]
    body = endpoint.body(b"one")
    async with serving(app, create_protocol(app.state.backends)) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        head = f"POST {endpoint.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
        more = f"Expect: 100-continue\r\nContent-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + more).encode())

        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(body)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202 ")
        writer.close()
