"""Idempotency-Key: a repeated request creates nothing new."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket
from contract.jobs import JobKind
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.support.problems import problem
from tests.support.publication import add_upload

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("dataset")]

TRAIN = {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"}}
KEYS = ["k", "x" * 255, '"quoted"', "ü"]


@dataclass(frozen=True)
class Call:
    """A request that creates something, and the arguments of a different one."""

    path: str
    arguments: dict[str, Any]
    other: dict[str, Any]

    async def send(self, client: httpx.AsyncClient, key: str, **changed: Any) -> httpx.Response:
        headers = {b"Idempotency-Key": key.encode()}
        return await client.post(self.path, headers=headers, **self.arguments | changed)


CALLS = {
    "job": Call("/v1/jobs", {"json": TRAIN}, {"json": TRAIN | {"priority": 1}}),
    "upload": Call(
        "/v1/uploads", {"json": {"filename": "a.zip", "size": 1}}, {"json": {"filename": "a.zip", "size": 2}}
    ),
    "archive": Call(
        "/v1/datasets/pets/versions", {"files": {"archive": ("a.zip", b"PK")}}, {"files": {"archive": ("a.zip", b"KP")}}
    ),
    "preparation": Call(
        "/v1/datasets/pets/versions",
        {"files": {"archive": ("a.zip", b"PK")}, "data": {"spec": '{"split": {"seed": 1}}'}},
        {"data": {"spec": '{"split": {"seed": 2}}'}},
    ),
}


@pytest.mark.parametrize("key", KEYS, ids=["one", "longest", "quoted", "latin"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_the_same_request_gets_the_first_answer_again(client: httpx.AsyncClient, call: Call, key: str) -> None:
    first, again = [await call.send(client, key) for _ in range(2)]

    assert first.status_code in {201, 202}
    assert again.status_code == first.status_code
    assert again.json() == first.json()
    assert again.headers.get("location") == first.headers.get("location")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_another_request_with_the_same_key_is_refused(client: httpx.AsyncClient, call: Call) -> None:
    await call.send(client, "k")

    assert "Idempotency-Key" in problem(await call.send(client, "k", **call.other), 422, "invalid").detail


async def test_the_same_body_to_another_path_is_another_request(client: httpx.AsyncClient) -> None:
    call = CALLS["archive"]
    await call.send(client, "k")

    other_path = Call("/v1/datasets/cars/versions", call.arguments, {})

    assert "Idempotency-Key" in problem(await other_path.send(client, "k"), 422, "invalid").detail


@pytest.mark.parametrize("path", [*sorted({call.path for call in CALLS.values()}), "/v1/jobs/none/retry", "/v1/keys"])
@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "long"])
async def test_an_idempotency_key_of_a_wrong_length_is_refused(client: httpx.AsyncClient, path: str, key: str) -> None:
    response = await client.post(path, headers={"Idempotency-Key": key})

    assert "1 to 255" in problem(response, 400, "malformed").detail


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_without_an_idempotency_key_every_request_creates_something(
    client: httpx.AsyncClient, call: Call
) -> None:
    first, second = [(await client.post(call.path, **call.arguments)).json() for _ in range(2)]

    assert first["id"] != second["id"]


async def test_idempotency_keys_of_different_clients_are_independent(
    client_with: Callable[..., httpx.AsyncClient],
) -> None:
    clients = [client_with(Scope.WRITE) for _ in range(2)]

    first, second = [(await CALLS["job"].send(client, "k")).json() for client in clients]

    assert first["id"] != second["id"]


async def test_a_repetition_gets_the_first_answer_even_if_the_job_has_progressed(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # given a job that was submitted and has run
    first = await CALLS["preparation"].send(client, "k")
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    stores.leases.finish(claim.lease, DATASET_MANIFEST)

    # when the request is repeated, then it gets the first answer, and no new job runs
    assert (await CALLS["preparation"].send(client, "k")).json() == first.json()
    assert stores.leases.claim(JobKind.PREPROCESS, "worker") is None


async def test_an_archive_that_created_no_job_is_not_kept(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    # given an archive that was accepted
    call = CALLS["archive"]
    kept = (await call.send(client, "k")).json()["spec"]["source"]["upload"]

    # when it is sent again, and when another is sent with its key
    await call.send(client, "k")
    await call.send(client, "k", **call.other)

    # then only the first is stored
    assert list(objects.content) == [(Bucket.UPLOADS, kept)]


async def test_a_repeated_retry_creates_one_job(client: httpx.AsyncClient, stores: Stores) -> None:
    # given two cancelled jobs
    add_upload(stores.database)
    cancelled = [
        stores.of(DEFAULT_PROJECT).jobs.cancel(stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST).id).id
        for _ in range(2)
    ]
    before = len(stores.of(DEFAULT_PROJECT).jobs.list(JobFilter(), 100).items)

    # when one is retried twice under one key, and the other under the same
    first, again, other = [
        await client.post(f"/v1/jobs/{job}/retry", headers={"Idempotency-Key": "k"})
        for job in (cancelled[0], cancelled[0], cancelled[1])
    ]

    # then
    assert (first.status_code, again.json()) == (202, first.json())
    problem(other, 422, "invalid")
    assert len(stores.of(DEFAULT_PROJECT).jobs.list(JobFilter(), 100).items) == before + 1


async def test_a_secret_is_not_shown_again(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    call = Call("/v1/keys", {"json": {"name": "laptop", "scopes": ["read", "write"]}}, {})
    first = await call.send(client, "k")

    # when the request is repeated, with the scopes in another order
    again = await call.send(client, "k", json={"name": "laptop", "scopes": ["write", "read"]})

    # then the answer names the key, but does not contain its secret
    assert first.status_code == 201
    assert first.json()["id"] in problem(again, 409, "conflict").detail
    assert [key.name for key in stores.keys.list()] == ["test", "laptop"]
    problem(await call.send(client, "k", json={"name": "other", "scopes": ["read"]}), 422, "invalid")
