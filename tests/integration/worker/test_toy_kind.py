"""A job kind needs a kind, a handler and a publication, and no change to any other module."""

import asyncio
import importlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from contract.access import Scope
from contract.jobs import JobKind
from contract.kinds import registry
from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.jobs import publication
from services.storage.objects import S3Objects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.support.publication import publish
from tests.support.servers import S3Server, Server, service_environment
from tests.unit.gateway.backends import classify, gateway

pytestmark = pytest.mark.anyio

TIMEOUT_S = 40.0
MODULE = "tests.integration.worker.toy_kind"
MAIN = f"from {MODULE} import handle; from worker import replica; replica.serve('preprocess', {{'echo': handle}})"


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    """Register the kind for one test, in this process."""
    importlib.import_module(MODULE)
    yield
    registry.unregister("echo")
    publication.unregister("echo")
    del sys.modules[MODULE]


@pytest.fixture
def stores(database: Database, objects: S3Objects) -> Stores:
    """A state that holds pets@1."""
    stores = Stores(database, objects)
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    return stores


@pytest.fixture
async def client(stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    secret = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    transport = httpx.ASGITransport(gateway(stores, MemoryChannel(classify)))
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


@pytest.fixture
def worker(database_url: str, redis: Server, s3: S3Server, tmp_path: Path) -> Iterator[Path]:
    """A worker process with the kind's handler; its log."""
    log = tmp_path / "worker.log"
    environment = os.environ | service_environment(database_url, redis, s3) | {"TIDEPOOL_SCRATCH": str(tmp_path)}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", MAIN], env=environment, stdout=output, stderr=output)
    yield log
    process.kill()
    process.wait(30)


def last_lines(log: Path) -> str:
    return log.read_text()[-3000:]


def echo(text: str, dataset: str = "pets") -> dict[str, object]:
    return {"kind": "echo", "spec": {"dataset": dataset, "text": text}}


async def test_a_job_of_a_new_kind_is_submitted_run_and_published(client: httpx.AsyncClient, worker: Path) -> None:
    # when
    response = await client.post("/v1/jobs", json=echo("hello"))

    # then the gateway accepts it and pins its reference
    assert response.status_code == 202
    job = response.json()
    assert (job["kind"], job["state"], job["spec"]["dataset"]) == ("echo", "queued", "pets@1")

    # and a worker runs it in a process of its own, and its result is published
    deadline = time.monotonic() + TIMEOUT_S
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, last_lines(worker)
        await asyncio.sleep(0.1)
        job = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert (job["state"], job["result"]) == ("succeeded", {"echo": "hello 2", "dataset": "pets@1"})
    assert (await client.get("/v1/jobs?kind=echo&dataset=pets")).json()["items"] == [job]


async def test_the_openapi_document_shows_a_new_kind(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/EchoRequest"} in body["oneOf"]
    assert document["components"]["schemas"]["EchoSpec"]["required"] == ["dataset", "text"]
    assert "echo" in document["components"]["schemas"]["JobKind"]["enum"]


async def test_requests_of_a_new_kind_are_checked(client: httpx.AsyncClient) -> None:
    bodies = echo("hello", "cars"), echo("cat"), echo("hello", "Pets!"), echo("hello") | {"kind": "ehco"}
    unknown, misfit, malformed, other = [await client.post("/v1/jobs", json=body) for body in bodies]

    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (misfit.status_code, misfit.json()["detail"]) == (422, "cat is a class of pets@1")
    assert malformed.json()["errors"][0]["where"] == "spec.dataset"
    assert (
        "kind must be one of echo, erase, index, preprocess, revise, backbone, train, evaluate, predict, vet"
        in other.text
    )


async def test_a_version_that_a_job_of_a_new_kind_uses_is_not_deleted(client: httpx.AsyncClient) -> None:
    job = (await client.post("/v1/jobs", json=echo("hello"))).json()

    assert (await client.delete("/v1/datasets/pets/versions/1")).status_code == 409

    await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (await client.delete("/v1/datasets/pets/versions/1")).status_code == 204


def test_a_kind_has_one_definition_and_one_publication() -> None:
    kind = registry.find_kind("echo")
    assert kind is not None

    registry.register(kind)  # the same one again changes nothing

    with pytest.raises(ValueError, match="two job kinds named echo"):
        registry.register(type(kind)(name="echo", pool="trainer", request=kind.request, outcome=kind.outcome))
    with pytest.raises(ValueError, match="two publications for the job kind echo"):
        publication.register(publication.Publication("echo", lambda *_: {}))
    assert JobKind.ECHO.pool == "preprocess"
