"""A full queue of jobs: 503 until there is room."""

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import Job, JobKind
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

TRAIN = {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"}}
ARCHIVE = {"archive": ("a.zip", b"PK")}


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The gateway with room for one waiting job."""
    backends = app.state.backends
    app.state.backends = replace(backends, settings=backends.settings.model_copy(update={"max_queued_jobs": 1}))
    return app


@pytest.fixture
def waiting(stores: Stores, dataset: Job) -> Job:
    """The waiting job, newer than the one that published the dataset."""
    return stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)


async def test_a_full_queue_refuses_a_job_with_retry_after(client: httpx.AsyncClient, waiting: Job) -> None:
    response = await client.post("/v1/jobs", json=TRAIN)

    assert "1 jobs are waiting" in problem(response, 503, "overloaded").detail
    assert int(response.headers["Retry-After"]) > 0


async def test_a_full_queue_refuses_a_retry(client: httpx.AsyncClient, stores: Stores, waiting: Job) -> None:
    cancelled = stores.of(DEFAULT_PROJECT).jobs.cancel(waiting.id)
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)

    response = await client.post(f"/v1/jobs/{cancelled.id}/retry")

    assert "1 jobs are waiting" in problem(response, 503, "overloaded").detail


async def test_a_full_queue_refuses_an_archive_and_does_not_keep_it(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, waiting: Job
) -> None:
    problem(await client.post("/v1/datasets/pets/versions", files=ARCHIVE), 503, "overloaded")

    assert [bucket for bucket, _ in objects.content if bucket == Bucket.UPLOADS] == []
    assert stores.of(DEFAULT_PROJECT).jobs.list(JobFilter(), 10).items[0].id == waiting.id


async def test_a_job_is_accepted_once_a_waiting_job_has_started(
    client: httpx.AsyncClient, stores: Stores, waiting: Job
) -> None:
    assert (await client.post("/v1/jobs", json=TRAIN)).status_code == 503

    stores.leases.claim(JobKind.PREPROCESS, "worker")

    assert (await client.post("/v1/jobs", json=TRAIN)).status_code == 202
