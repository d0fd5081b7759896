"""/v1/jobs: evaluations and their outputs."""

from typing import Any

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind
from contract.kinds.evaluate import EvaluateRequest, EvaluationOutput
from contract.kinds.train import TrainRequest
from services.storage.stores import Stores
from tests.examples import EVALUATE_SPEC, EVALUATION_REPORT, MODEL_MANIFEST, ROWS_FILE, TRAIN_SPEC
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("dataset", "model")]


def evaluation(**spec: Any) -> dict[str, Any]:
    return {"kind": "evaluate", "spec": {"model": "pet-cnn", "dataset": "pets", "split": "train"} | spec}


async def test_both_models_are_pinned_to_versions(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)
    publish(stores, TrainRequest(kind=JobKind.TRAIN, spec=TRAIN_SPEC), MODEL_MANIFEST)

    response = await client.post("/v1/jobs", json=evaluation(compare_with="pet-cnn@production"))

    assert response.status_code == 202, response.text
    assert response.json()["spec"] == {
        "model": "pet-cnn@2",
        "dataset": "pets@1",
        "split": "train",
        "compare_with": "pet-cnn@1",
        "unknown_precision": 0.95,
        "format": "jsonl",
    }


async def test_an_unknown_model_to_compare_with_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=evaluation(compare_with="none"))

    assert problem(response, 404, "not_found").detail == "there is no model none"


async def test_a_model_is_not_compared_with_itself(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=evaluation(compare_with="pet-cnn@1"))

    assert "compare_with is the model itself, pet-cnn@1" in problem(response, 422, "invalid").detail


async def test_the_version_compared_with_cannot_be_deleted_meanwhile(client: httpx.AsyncClient, stores: Stores) -> None:
    publish(stores, TrainRequest(kind=JobKind.TRAIN, spec=TRAIN_SPEC), MODEL_MANIFEST)
    await client.post("/v1/jobs", json=evaluation(compare_with="pet-cnn@1"))

    response = await client.delete("/v1/models/pet-cnn/versions/1")

    assert problem(response, 409, "conflict").detail == "a job that has not ended uses pet-cnn@1; cancel it or wait"


async def test_the_report_is_the_result_and_the_rows_are_the_output(client: httpx.AsyncClient, stores: Stores) -> None:
    request = EvaluateRequest(kind=JobKind("evaluate"), spec=EVALUATE_SPEC)
    job = publish(stores, request, EvaluationOutput(artifact=ROWS_FILE, report=EVALUATION_REPORT))

    shown = (await client.get(f"/v1/jobs/{job.id}")).json()
    output = await client.get(f"/v1/jobs/{job.id}/output")

    assert shown["result"]["metrics"] == EVALUATION_REPORT.metrics.model_dump(mode="json")
    assert shown["result"]["output"] == {"size": ROWS_FILE.size, "sha256": ROWS_FILE.sha256}
    assert output.status_code == 307
    assert ROWS_FILE.key in output.headers["Location"]
