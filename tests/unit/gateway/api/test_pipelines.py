"""/v1/pipelines"""

from typing import Any

import httpx
import pytest

from contract.datasets import Split
from contract.jobs import Job
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, ROWS_FILE, SHARD
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

NIGHTLY = {"name": "nightly", "model": "pet-cnn", "dataset": "pets", "when": {"cron": "0 3 * * *"}}


@pytest.fixture(autouse=True)
def champion(stores: Stores, model: Job) -> None:
    """The model pet-cnn@1 in production, and pets@1 with test images."""
    shards = {Split.TRAIN: (SHARD,), Split.VAL: (), Split.TEST: (SHARD,)}
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update={"shards": shards, "index": ROWS_FILE}))
    stores.of("default").models.set_alias("pet-cnn", "production", 1)


async def test_a_pipeline_is_created_paused_and_deleted(client: httpx.AsyncClient) -> None:
    created = await client.post("/v1/pipelines", json=NIGHTLY)

    assert (created.status_code, created.headers["location"]) == (201, "/v1/pipelines/nightly")
    body = created.json()
    assert (body["alias"], body["schedule"], body["paused"]) == ("production", "At 03:00 every day", False)
    assert body["gate"] == {"better_by": 0.005, "no_class_falls_by": 0.05, "confidence": 0.95}
    assert (await client.get("/v1/pipelines/nightly")).json() == body
    assert body["warning"].startswith("with 2 test images and a champion at 50 %, no candidate can pass; about ")
    assert (await client.get("/v1/pipelines")).json() == {"items": [body | {"warning": None}], "next": None}
    problem(await client.post("/v1/pipelines", json=NIGHTLY), 409, "conflict")
    paused = (await client.patch("/v1/pipelines/nightly", json={"paused": True})).json()
    assert (paused["paused"], paused["next_run_at"]) == (True, None)
    assert (await client.delete("/v1/pipelines/nightly")).status_code == 204
    problem(await client.get("/v1/pipelines/nightly"), 404, "not_found")


async def test_a_run_starts_once_and_is_listed(client: httpx.AsyncClient) -> None:
    await client.post("/v1/pipelines", json=NIGHTLY)
    headers = {"Idempotency-Key": "once"}

    started = await client.post("/v1/pipelines/nightly/runs", headers=headers)

    run = started.json()
    assert (started.status_code, run["state"], run["trigger"]) == (202, "running", "person")
    assert (await client.post("/v1/pipelines/nightly/runs", headers=headers)).json() == run
    assert "one run at once" in problem(await client.post("/v1/pipelines/nightly/runs"), 409, "conflict").detail
    assert (await client.get("/v1/pipelines/nightly/runs")).json() == {"items": [run], "next": None}
    assert (await client.get("/v1/pipelines/nightly")).json()["last_run"] == run
    problem(await client.get("/v1/pipelines/weekly/runs"), 404, "not_found")


async def test_a_repeated_creation_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}

    first, second = [await client.post("/v1/pipelines", json=NIGHTLY, headers=headers) for _ in range(2)]

    assert second.json() == first.json()


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"model": "none"}, 404, "there is no model none@production"),
        ({"alias": "blue"}, 404, "there is no model pet-cnn@blue"),
        ({"dataset": "none"}, 404, "there is no dataset none"),
        ({"when": {"cron": "every day"}}, 422, "'every day' is not a cron expression"),
        ({"when": {"cron": "0 0 30 2 *"}}, 422, "is not a cron expression"),
        ({"when": {"cron": "* * * * * *"}}, 422, "is not a cron expression"),
        ({"when": {"labels": 0}}, 422, "when.labels"),
        ({"train": {"epochs": 0}}, 422, "train.epochs: Input should be greater than or equal to 1"),
        ({"train": {"bugdet": {}}}, 422, "train.bugdet: there is no field bugdet; did you mean budget?"),
        ({"train": {"budget": {"minute": 1, "minutes": 1}}}, 422, "train.budget.minute: there is no field minute"),
        ({"wen": {}}, 422, "wen: there is no field wen"),
        ({"train": {"dataset": "pets"}}, 422, "train.dataset is that of the pipeline; leave it out"),
        ({"train": {"init_from": "none"}}, 404, "there is no model or backbone none"),
        ({"gate": {"confidence": 95}}, 422, "gate.confidence: must be less than 1: write 0.95 for 95 %"),
        ({"gate": {"better_by": 5}}, 422, "gate.better_by: must be less than 1: write 0.05 for 5 percentage points"),
        ({"gate": {"no_class_falls_by": 1.0}}, 422, "write 0.05 for 5 percentage points"),
        ({"gate": {"better_by": True}}, 422, "gate.better_by: Input should be a valid number"),
        ({"when": {"labels": 1_000_001}}, 422, "when.labels: Input should be less than or equal to 1000000"),
        ({"shadow_hours": 1.0, "promote": False}, 422, "shadow_hours is for candidates that are promoted"),
        ({"name": "a" * 51}, 422, "name: The name of a pipeline has 1 to 50 lower-case letters"),
        ({"name": "Nightly"}, 422, "name: The name of a pipeline has 1 to 50 lower-case letters"),
    ],
)
async def test_what_could_not_run_is_refused_at_once(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, detail: str
) -> None:
    response = await client.post("/v1/pipelines", json=NIGHTLY | change)

    assert response.status_code == status
    assert detail in response.text


async def test_enough_test_images_give_no_warning(client: httpx.AsyncClient, stores: Stores) -> None:
    shards = {Split.TRAIN: (SHARD,), Split.VAL: (), Split.TEST: (SHARD,)}
    counts = DATASET_MANIFEST.counts.model_copy(update={"test": 200})
    larger = DATASET_MANIFEST.model_copy(update={"shards": shards, "index": ROWS_FILE, "counts": counts})
    publish(stores, PREPROCESS_REQUEST, larger)

    assert (await client.post("/v1/pipelines", json=NIGHTLY)).json()["warning"] is None


async def test_a_dataset_without_test_images_is_refused(client: httpx.AsyncClient, stores: Stores) -> None:
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)

    response = await client.post("/v1/pipelines", json=NIGHTLY)

    assert "the dataset pets@2 has no test split" in problem(response, 422, "invalid").detail
