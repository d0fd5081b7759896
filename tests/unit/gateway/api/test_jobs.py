"""/v1/jobs"""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.division import NewChild, Waiting
from contract.errors import BadArchive
from contract.jobs import Job, JobKind
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST, TRIAL_SPEC
from tests.examples.base import UPLOAD_ID
from tests.support.problems import problem
from tests.support.publication import add_upload

pytestmark = pytest.mark.anyio


def train(**spec: Any) -> dict[str, Any]:
    return {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn"} | spec}


@pytest.mark.usefixtures("dataset")
async def test_a_training_job_is_accepted(client: httpx.AsyncClient, stores: Stores) -> None:
    # when a job names the dataset without its version
    headers = {"X-Request-ID": "trace-1"}
    response = await client.post("/v1/jobs", json=train(epochs=3) | {"priority": 7, "deadline_s": 60}, headers=headers)

    # then it is stored with the current version, and the worker decides about the fields that were left out
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["priority"], job["attempt"], job["result"]) == ("queued", 7, 0, None)
    assert (job["spec"]["dataset"], job["spec"]["epochs"]) == ("pets@1", 3)
    assert job["spec"]["optimizer"] is None
    assert job["deadline_at"] > job["created_at"]
    assert (await client.get(response.headers["location"])).json() == job


@pytest.mark.usefixtures("dataset")
async def test_layers_that_do_not_fit_the_images_are_refused(client: httpx.AsyncClient) -> None:
    architecture = {"layers": [{"conv": 8}, {"maxpool": 64}, {"flatten": {}}]}

    result = problem(await client.post("/v1/jobs", json=train(architecture=architecture)), 422, "bad_model")

    assert "layers[1] (maxpool)" in result.detail


@pytest.mark.parametrize("reference", ["cars", "cars@1", "pets@2", "pets@newest"])
@pytest.mark.usefixtures("dataset")
async def test_an_unknown_data_set_is_not_found(client: httpx.AsyncClient, reference: str) -> None:
    result = problem(await client.post("/v1/jobs", json=train(dataset=reference)), 404, "not_found")

    assert reference.partition("@")[0] in result.detail


async def test_a_version_out_of_range_is_refused(client: httpx.AsyncClient) -> None:
    result = problem(await client.post("/v1/jobs", json=train(dataset="pets@99999999999")), 422, "invalid")

    assert "names no version; versions count from 1" in result.detail


async def test_a_preprocessing_job_needs_a_complete_upload(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    def job(upload: str) -> dict[str, Any]:
        return {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"upload": upload}}}

    # given an announced upload without a file
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 2})).json()["id"]

    # then no job can use it, nor an unknown upload
    problem(await client.post("/v1/jobs", json=job(upload)), 409, "conflict")
    problem(await client.post("/v1/jobs", json=job("none")), 404, "not_found")

    # when it is complete, then a job can use it
    objects.put(Bucket.UPLOADS, upload, b"PK")
    await client.post(f"/v1/uploads/{upload}/complete")
    assert (await client.post("/v1/jobs", json=job(upload))).status_code == 202


async def test_an_unknown_job_is_not_found(client: httpx.AsyncClient) -> None:
    answers = [
        await client.get("/v1/jobs/none"),
        await client.get("/v1/jobs/none?wait=60"),
        await client.post("/v1/jobs/none/cancel"),
        await client.post("/v1/jobs/none/retry"),
    ]

    assert {problem(answer, 404, "not_found").detail for answer in answers} == {"there is no such job"}


async def test_a_failed_job_shows_its_error(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    stores.leases.fail(claim.lease, BadArchive("the file is not a zip archive"))

    result = (await client.get(f"/v1/jobs/{job.id}")).json()

    assert (result["state"], result["result"]) == ("failed", None)
    assert result["error"] == {"code": "bad_archive", "message": "the file is not a zip archive"}


async def test_a_job_is_cancelled(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)

    first, again = [await client.post(f"/v1/jobs/{job.id}/cancel") for _ in range(2)]

    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (again.status_code, again.json()["state"]) == (202, "cancelled")


async def test_a_running_training_keeps_its_best_model(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim(JobKind.TRAIN, "worker")
    assert claim is not None

    response = await client.post(f"/v1/jobs/{job.id}/cancel", json={"keep_best": True})

    assert (response.status_code, response.json()["state"]) == (202, "running")
    assert stores.leases.renew(claim.lease)


async def test_only_trainings_keep_a_best_model(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)

    result = problem(await client.post(f"/v1/jobs/{job.id}/cancel", json={"keep_best": True}), 422, "invalid")

    assert "preprocess" in result.detail
    for body in ({"keep_best": "yes"}, {"keep": True}):
        problem(await client.post(f"/v1/jobs/{job.id}/cancel", json=body), 422, "invalid")


async def test_a_running_job_is_shown_as_cancelling(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    stores.leases.claim(JobKind.PREPROCESS, "worker")

    response = await client.post(f"/v1/jobs/{job.id}/cancel")

    assert (response.status_code, response.json()["state"]) == (202, "running")
    assert response.json()["progress"]["message"] == "cancelling"


async def test_a_job_that_has_ended_cannot_be_cancelled(client: httpx.AsyncClient, dataset: Job) -> None:
    result = problem(await client.post(f"/v1/jobs/{dataset.id}/cancel"), 409, "conflict")

    assert result.detail == "the job has already succeeded"


async def test_a_failed_job_is_retried(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    add_upload(stores.database)
    failed = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST.model_copy(update={"priority": 7}))
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    stores.leases.fail(claim.lease, BadArchive("the file is not a zip archive"))

    # when
    response = await client.post(f"/v1/jobs/{failed.id}/retry")

    # then there is a new job with the same spec
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["id"] != failed.id
    assert (job["state"], job["attempt"], job["error"]) == ("queued", 0, None)
    assert (job["spec"], job["priority"]) == (failed.spec, 7)


async def test_a_second_retry_names_the_copy_of_the_first(client: httpx.AsyncClient, stores: Stores) -> None:
    add_upload(stores.database)
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    stores.of(DEFAULT_PROJECT).jobs.cancel(job.id)
    copy = (await client.post(f"/v1/jobs/{job.id}/retry")).json()["id"]

    result = problem(await client.post(f"/v1/jobs/{job.id}/retry"), 409, "conflict")

    assert copy in result.detail
    assert len(stores.of(DEFAULT_PROJECT).jobs.list(JobFilter(), 10).items) == 2
    stores.of(DEFAULT_PROJECT).jobs.cancel(copy)
    assert (await client.post(f"/v1/jobs/{copy}/retry")).status_code == 202


async def test_a_retry_without_what_the_job_needs_says_what_is_missing(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    stores.of(DEFAULT_PROJECT).jobs.cancel(job.id)

    result = problem(await client.post(f"/v1/jobs/{job.id}/retry"), 409, "conflict")

    assert f"the upload {UPLOAD_ID} was deleted" in result.detail


async def test_a_waiting_or_succeeded_job_cannot_be_retried(
    client: httpx.AsyncClient, stores: Stores, dataset: Job
) -> None:
    waiting = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)

    for job in (waiting, dataset):
        result = problem(await client.post(f"/v1/jobs/{job.id}/retry"), 409, "conflict")

        assert f"the job is {job.state}; only one that has ended without success" in result.detail


async def test_jobs_are_listed_in_pages_newest_first(client: httpx.AsyncClient, stores: Stores) -> None:
    created = [stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST).id for _ in range(5)]

    seen, cursor = [], None
    while True:
        page = (await client.get("/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        assert len(page["items"]) <= 2
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == created[::-1]


async def test_jobs_are_filtered_by_kind_state_model_and_data_set(
    client: httpx.AsyncClient, stores: Stores, dataset: Job, model: Job
) -> None:
    waiting = stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    expected = {
        "": {dataset.id, model.id, waiting.id},
        "kind=train": {model.id, waiting.id},
        "state=succeeded": {dataset.id, model.id},
        "kind=train&state=succeeded": {model.id},
        "model=pet-cnn": {model.id, waiting.id},
        "dataset=pets": {dataset.id, model.id, waiting.id},
        "dataset=cars": set(),
    }

    for query, ids in expected.items():
        page = (await client.get(f"/v1/jobs?{query}")).json()
        assert {job["id"] for job in page["items"]} == ids, query


async def test_the_children_of_a_job_are_listed_by_their_parent(client: httpx.AsyncClient, stores: Stores) -> None:
    parent = stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim("train", "worker")
    assert claim is not None
    child = NewChild(number=0, spec=TRIAL_SPEC.model_dump(mode="json"))
    stores.children.wait(claim.lease, Waiting(kind="trial", children=(child,), seen=0, fraction=0, message="trying"))

    listed = (await client.get(f"/v1/jobs?parent={parent.id}")).json()["items"]

    assert [(job["kind"], job["parent"]) for job in listed] == [("trial", parent.id)]
    assert [job["id"] for job in (await client.get("/v1/jobs")).json()["items"]] == [parent.id]
    assert (await client.get(f"/v1/jobs/{listed[0]['id']}")).json() == listed[0]
    refused = await client.post(f"/v1/jobs/{listed[0]['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_a_trial_cannot_be_submitted_and_an_unfit_search_says_what_to_change(client: httpx.AsyncClient) -> None:
    spec = {"dataset": "pets", "model": "net", "search": {"over": {"optimizer.lr": {"low": 1, "high": 0.1}}}}

    trial = await client.post("/v1/jobs", json={"kind": "trial", "spec": TRIAL_SPEC.model_dump(mode="json")})
    search = await client.post("/v1/jobs", json={"kind": "train", "spec": spec})

    assert (trial.status_code, search.status_code) == (422, 422)
    assert "kind must be one of" in trial.text
    assert "low must be less than high" in search.text


async def test_waiting_for_a_finished_job_returns_at_once(client: httpx.AsyncClient, dataset: Job) -> None:
    assert (await client.get(f"/v1/jobs/{dataset.id}?wait=60")).json()["state"] == "succeeded"


async def test_waiting_ends_after_the_requested_time(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)

    assert (await client.get(f"/v1/jobs/{job.id}?wait=0.01")).json()["state"] == "queued"


class TestWaiting:
    """With stores on a file, because the in-memory database cannot read and write concurrently."""

    @pytest.fixture
    def stores(self, tmp_path: Path, objects: MemoryObjects) -> Stores:
        database = Database.connect(f"sqlite:///{tmp_path}/tidepool.db")
        tables.metadata.create_all(database.engine)
        return Stores(database, objects)

    async def test_waiting_ends_when_the_job_ends(self, client: httpx.AsyncClient, stores: Stores) -> None:
        # given a client that waits for a queued job
        polled, loop = asyncio.Event(), asyncio.get_running_loop()

        @event.listens_for(stores.database.engine, "after_cursor_execute")
        def look(_: Any, __: Any, statement: str, *___: Any) -> None:
            if "FROM jobs" in statement:
                loop.call_soon_threadsafe(polled.set)

        job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
        waiting = asyncio.create_task(client.get(f"/v1/jobs/{job.id}?wait=60"))
        await asyncio.wait_for(polled.wait(), 30)

        # when the job succeeds
        claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
        assert claim is not None
        stores.leases.finish(claim.lease, DATASET_MANIFEST)

        # then the request is answered
        response = await asyncio.wait_for(waiting, 30)
        assert (response.json()["state"], response.json()["result"]["dataset"]) == ("succeeded", "pets@1")
