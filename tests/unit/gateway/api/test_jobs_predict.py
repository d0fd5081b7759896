"""/v1/jobs: batch predictions and their outputs."""

from typing import Any

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.images import ImageSpec
from contract.jobs import Job
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREDICT_REQUEST, PREDICTION_OUTPUT, PREPROCESS_REQUEST, ROWS_FILE
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("dataset", "model")]


def predict(**spec: Any) -> dict[str, Any]:
    return {"kind": "predict", "spec": {"model": "pet-cnn", "input": {"dataset": "pets", "split": "train"}} | spec}


async def test_a_prediction_of_a_split_is_pinned_to_the_current_versions(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=predict(format="parquet"))

    assert response.status_code == 202
    job = response.json()
    assert (job["kind"], job["state"]) == ("predict", "queued")
    assert job["spec"] == {
        "model": "pet-cnn@1",
        "input": {"dataset": "pets@1", "split": "train"},
        "top_k": 1,
        "format": "parquet",
    }


async def test_an_alias_is_pinned_to_its_current_version(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)

    response = await client.post("/v1/jobs", json=predict(model="pet-cnn@production"))

    assert response.json()["spec"]["model"] == "pet-cnn@1"


async def test_a_prediction_needs_a_complete_upload(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    # given an announced upload without a file
    upload = (await client.post("/v1/uploads", json={"filename": "a.zip", "size": 2})).json()["id"]

    # then no prediction can use it, nor an unknown upload
    problem(await client.post("/v1/jobs", json=predict(input={"upload": upload})), 409, "conflict")
    problem(await client.post("/v1/jobs", json=predict(input={"upload": "none"})), 404, "not_found")

    # when it is complete, then a prediction can use it
    objects.put(Bucket.UPLOADS, upload, b"PK")
    await client.post(f"/v1/uploads/{upload}/complete")
    response = await client.post("/v1/jobs", json=predict(input={"upload": upload}))
    assert response.status_code == 202
    assert response.json()["spec"]["input"] == {"upload": upload}


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"model": "cars"}, "cars"),
        ({"model": "pet-cnn@2"}, "pet-cnn@2"),
        ({"model": "pet-cnn@production"}, "pet-cnn@production"),
        ({"input": {"dataset": "cars"}}, "cars"),
        ({"input": {"dataset": "pets@2"}}, "pets@2"),
    ],
    ids=str,
)
async def test_an_unknown_reference_is_not_found(client: httpx.AsyncClient, spec: dict[str, Any], name: str) -> None:
    assert name in problem(await client.post("/v1/jobs", json=predict(**spec)), 404, "not_found").detail


async def test_a_split_without_images_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=predict(input={"dataset": "pets", "split": "val"}))

    assert "no val split" in problem(response, 422, "invalid").detail


async def test_images_that_the_model_does_not_take_are_refused(client: httpx.AsyncClient, stores: Stores) -> None:
    larger = DATASET_MANIFEST.model_copy(update={"image": ImageSpec(size=(64, 64))})
    publish(stores, PREPROCESS_REQUEST, larger)

    result = problem(await client.post("/v1/jobs", json=predict(input={"dataset": "pets@2"})), 422, "invalid")

    assert "takes images as 32×32 RGB (crop), but the dataset has them as 64×64 RGB (stretch)" in result.detail


async def test_predictions_are_filtered_by_model_and_data_set(client: httpx.AsyncClient, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREDICT_REQUEST)

    for query in ("model=pet-cnn", "dataset=pets"):
        page = (await client.get(f"/v1/jobs?kind=predict&{query}")).json()
        assert [item["id"] for item in page["items"]] == [job.id]


async def test_a_data_set_in_use_by_a_prediction_is_not_deleted(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).jobs.create(PREDICT_REQUEST)

    refused = problem(await client.delete("/v1/datasets/pets/versions/1"), 409, "conflict")

    assert refused.detail == "a job that has not ended uses pets@1; cancel it or wait"
    assert (await client.get("/v1/datasets/pets/versions/1")).status_code == 200


async def test_the_output_redirects_to_the_object_store(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    job = publish(stores, PREDICT_REQUEST, PREDICTION_OUTPUT)

    # when
    response = await client.get(f"/v1/jobs/{job.id}/output")

    # then the location is the object's URL, and the result describes the object
    assert response.status_code == 307
    assert response.headers["location"] == stores.objects.download_url(ROWS_FILE)
    result = (await client.get(f"/v1/jobs/{job.id}")).json()["result"]
    assert (result["count"], result["failed"], result["metrics"]["accuracy"]) == (2, 0, 0.5)
    assert result["output"] == {"size": ROWS_FILE.size, "sha256": ROWS_FILE.sha256}


async def test_the_output_of_a_job_without_one_is_refused(
    client: httpx.AsyncClient, stores: Stores, dataset: Job
) -> None:
    waiting = stores.of(DEFAULT_PROJECT).jobs.create(PREDICT_REQUEST)

    for job in (waiting, dataset):
        refused = problem(await client.get(f"/v1/jobs/{job.id}/output"), 409, "conflict")
        assert "output" in refused.detail
    missing = problem(await client.get("/v1/jobs/none/output"), 404, "not_found")
    assert missing.detail == "there is no such job"
