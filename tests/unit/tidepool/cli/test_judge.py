"""`tidepool evaluate` and `tidepool compare`"""

import pytest

from contract.catalog import Model, ModelVersion
from contract.kinds.evaluate import EvaluateResult
from tests.unit.tidepool.cli.conftest import Deployment, example, run

RESULT = example(EvaluateResult)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment that has the model pet-cnn@1, trained on pets@1, and judges it."""
    deployment.on("GET", "/v1/models/pet-cnn", example(Model))
    deployment.on("GET", "/v1/models/pet-cnn/versions/1", example(ModelVersion))
    deployment.jobs("/v1/jobs", "evaluate", RESULT)
    return deployment


def test_a_model_is_judged_on_the_dataset_that_it_was_trained_on(deployment: Deployment) -> None:
    deployment.jobs("/v1/jobs", "evaluate", RESULT | {"baseline": None})

    result = run("evaluate", "pet-cnn")

    assert result.code == 0
    assert result.out.splitlines() == [*RESULT["summary"], *(f"Warning: {text}" for text in RESULT["warnings"])]
    spec = {"model": "pet-cnn", "dataset": "pets@1", "split": "test"}
    assert deployment.bodies("POST") == [{"kind": "evaluate", "spec": spec}]


def test_two_models_are_compared_in_a_table(deployment: Deployment) -> None:
    result = run("compare", "pet-cnn@2", "pet-cnn@1", "--dataset", "others", "--split", "val")

    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()[-2:]]
    assert [row[:3] for row in rows] == [["pet-cnn@2", "50.0", "%"], ["pet-cnn@1", "50.0", "%"]]
    spec = {"model": "pet-cnn@2", "dataset": "others", "split": "val", "compare_with": "pet-cnn@1"}
    assert deployment.bodies("POST") == [{"kind": "evaluate", "spec": spec}]


def test_json_is_the_job(deployment: Deployment) -> None:
    assert run("evaluate", "pet-cnn", "--json").json["result"]["summary"] == RESULT["summary"]


def test_a_model_that_was_uploaded_needs_a_dataset(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/models/pet-cnn/versions/1", example(ModelVersion, dataset=None))

    result = run("evaluate", "pet-cnn")

    assert (result.code, result.out) == (2, "")
    assert "--dataset NAME" in result.err
