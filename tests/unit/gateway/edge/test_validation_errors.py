"""Validation errors: where they are and what they say."""

import time
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from contract.kinds.vet import VetSpec
from services.gateway.edge.validation_errors import faults_of
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


def train(**spec: Any) -> dict[str, Any]:
    return {"kind": "train", "spec": {"dataset": "pets@1", "model": "pet-cnn"} | spec}


def predict(**spec: Any) -> dict[str, Any]:
    return {"kind": "predict", "spec": {"model": "pet-cnn@1", "input": {"dataset": "pets@1"}} | spec}


def preprocess(**spec: Any) -> dict[str, Any]:
    return {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"upload": "u"}} | spec}


def layers(*layers: Any) -> dict[str, Any]:
    return train(architecture={"layers": list(layers)})


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ([1], "body", "kind must be one of "),
        ({"spec": {}}, "body", "kind must be one of "),
        ({"kind": "sing"}, "body", "kind must be one of "),
        ({"kind": "train"}, "spec", "Field required"),
        ({"kind": "train", "spec": {"model": "a"}}, "spec.dataset", "Field required"),
        ({"kind": "train", "spec": []}, "spec", "Input should be a valid object"),
        (train() | {"surprise": 1}, "surprise", "there is no field surprise"),
        (train() | {"priority": 10**300}, "priority", "Input should be less than or equal to 100"),
        (train(surprise=1), "spec.surprise", "there is no field surprise"),
        (train(epochs=0), "spec.epochs", "Input should be greater than or equal to 1"),
        (train(epochs=10**9), "spec.epochs", "Input should be less than or equal to 1000"),
        (train(epochs="3"), "spec.epochs", "Input should be a valid integer"),
        (train(epochs=True), "spec.epochs", "Input should be a valid integer"),
        (train(augment=1), "spec.augment", "Input should be a valid boolean or a valid object"),
        (train(augment="yes"), "spec.augment", "Input should be a valid boolean or a valid object"),
        (train(augment=[]), "spec.augment", "Input should be a valid boolean or a valid object"),
        (train(augment={"flip": "yes"}), "spec.augment.flip", "Input should be a valid boolean"),
        (train(augment={"bool": 1}), "spec.augment.bool", "there is no field bool"),
        (train(budget=10), "spec.budget", "Input should be a valid object"),
        (train(budget={}), "spec.budget.minutes", "Field required"),
        (preprocess(image={"size": [0, 1]}), "spec.image.size[0]", "greater than or equal to 1"),
        (preprocess(image={"size": [32]}), "spec.image.size[1]", "Field required"),
        (preprocess(image={"size": [1, 2, 3]}), "spec.image.size", "length of at most 2"),
        (preprocess(image={"size": 32}), "spec.image.size", "Input should be a valid array or 'auto'"),
        (preprocess(image={"size": "big"}), "spec.image.size", "Input should be a valid array or 'auto'"),
        (preprocess(image={"mode": "CMYK"}), "spec.image.mode", "Input should be 'RGB' or 'L' or 'auto'"),
        (preprocess(image=[]), "spec.image", "Input should be a valid object"),
        (preprocess(layout={"class_level": 0}), "spec.layout.class_level", "greater than or equal to 1 or 'leaf'"),
        (preprocess(split={"group_by": {}}), "spec.split.group_by", "valid string or a valid integer"),
        (train(optimizer={"name": "lion"}), "spec.optimizer", "'name' must be one of 'adam', 'sgd'"),
        (train(optimizer={"lr": 1}), "spec.optimizer", "Field 'name' required"),
        (train(optimizer={"name": "adam", "lr": 99}), "spec.optimizer.lr", "Input should be less than or equal to 10"),
        (train(architecture={"name": "mlp", "hidden": [9, 0]}), "spec.architecture.hidden[1]", "Input should be"),
        (train(architecture={"name": "vgg"}), "spec.architecture", "name mlp, cnn, airbench or resnet18"),
        (train(architecture={"name": ["mlp"]}), "spec.architecture", "name mlp, cnn, airbench or resnet18"),
        (train(architecture="cnn"), "spec.architecture", "name mlp, cnn, airbench or resnet18"),
        (layers(), "spec.architecture.layers", "Array should have a length of at least 1"),
        (train(architecture={"layers": 3}), "spec.architecture.layers", "Input should be a valid array"),
        (train(architecture={"layers": [], "x": 1}), "spec.architecture.layers", "Array should have a length"),
        (layers({"relu": {}}, {"warp": 3}), "spec.architecture.layers[1]", "use one of conv, maxpool"),
        (layers({"relu": {}}, 1), "spec.architecture.layers[1]", "use one of conv, maxpool"),
        (layers({"relu": {}}, {}), "spec.architecture.layers[1]", "use one of conv, maxpool"),
        (layers({"conv": 8, "kernal": 3}), "spec.architecture.layers[0].kernal", "there is no field kernal"),
        (layers({"conv": "8"}), "spec.architecture.layers[0].conv", "Input should be a valid integer"),
        (layers({"relu": {"slope": 1}}), "spec.architecture.layers[0].relu.slope", "there is no field slope"),
        (layers({"relu": 0}), "spec.architecture.layers[0].relu", "Input should be a valid object"),
        (predict(input={}), "spec.input", "must name a dataset (and split) or an upload"),
        (predict(input=None), "spec.input", "must name a dataset (and split) or an upload"),
        (predict(input={"dataset": "UPPER"}), "spec.input.dataset", "A reference is a name, such as pets, pets@3"),
        (train(model="My Pets"), "spec.model", "A name has 1 to 63 lower-case letters, digits"),
        (predict(input={"dataset": "pets", "split": "all"}), "spec.input.split", "'train', 'val' or 'test'"),
        (predict(input={"upload": ""}), "spec.input.upload", "at least 1 character"),
        (predict(input={"dataset": "pets", "upload": "u"}), "spec.input.upload", "there is no field upload"),
        (predict(format="xlsx"), "spec.format", "'jsonl', 'csv' or 'parquet'"),
        (predict(top_k=0), "spec.top_k", "greater than or equal to 1"),
    ],
    ids=str,
)
async def test_a_validation_error_in_a_job_names_the_field(
    client: httpx.AsyncClient, body: Any, where: str, message: str
) -> None:
    result = problem(await client.post("/v1/jobs", json=body), 422, "invalid")

    assert result.errors[0].where == where
    assert message in result.errors[0].message
    assert result.detail == f"{where}: {result.errors[0].message}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_nan_and_infinity_are_refused(client: httpx.AsyncClient, number: str) -> None:
    body = f'{{"kind": "train", "deadline_s": {number}, "spec": {{"dataset": "pets", "model": "pet-cnn"}}}}'

    response = await client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert problem(response, 422, "invalid").errors[0].where == "deadline_s"


@pytest.mark.parametrize("field", ['"\\ud800": 1', '"kind": "\\ud800"', '"spec": {"model": "\\ud800"}', '"": 1'])
async def test_text_that_is_not_utf_8_is_refused(client: httpx.AsyncClient, field: str) -> None:
    body = f'{{"kind": "train", {field}}}'

    response = await client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    result = problem(response, 422, "invalid")
    assert result.errors or "UTF-8" in result.detail


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/jobs?limit=0", "query.limit"),
        ("/v1/jobs?limit=201", "query.limit"),
        ("/v1/jobs?kind=sing", "query.kind"),
        ("/v1/jobs?state=lost", "query.state"),
        ("/v1/jobs?model=UPPER", "query.model"),
        (f"/v1/jobs?cursor={'x' * 65}", "query.cursor"),
        ("/v1/jobs/none?wait=nan", "query.wait"),
        ("/v1/jobs/none?wait=61", "query.wait"),
        (f"/v1/jobs/{'x' * 65}", "path.job_id"),
        ("/v1/datasets/UPPER", "path.name"),
        ("/v1/datasets/pets/versions/0", "path.version"),
        ("/v1/datasets/pets/versions/latest", "path.version"),
        (f"/v1/models/pet-cnn/versions/{2**31}", "path.version"),
    ],
)
async def test_a_validation_error_in_a_path_or_query_names_the_parameter(
    client: httpx.AsyncClient, path: str, where: str
) -> None:
    assert problem(await client.get(path), 422, "invalid").errors[0].where == where


def test_very_many_errors_are_described_quickly() -> None:
    body = {"spec": {"model": "mine", "source": {"upload": "u"}, "labels": [1] * 50_000}}
    with pytest.raises(ValidationError) as caught:
        VetSpec.model_validate(body["spec"])
    errors = [{**error, "loc": ("body", "spec", *error["loc"])} for error in caught.value.errors()]
    started = time.monotonic()

    faults = faults_of(errors, body)

    assert len(errors) == 50_000
    assert faults[0].where == "spec.labels[0]"
    assert time.monotonic() - started < 5  # to compare all of them would take minutes
