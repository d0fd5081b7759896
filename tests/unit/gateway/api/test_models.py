"""/v1/models"""

import httpx
import pytest

from contract.jobs import Job
from contract.kinds.train import TrainSpec
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, ONNX_FILE, TRAIN_REQUEST
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

MODEL = "/v1/models/pet-cnn"


async def test_a_model_and_its_version_are_shown(client: httpx.AsyncClient, model: Job) -> None:
    result = (await client.get(MODEL)).json()
    version = (await client.get(f"{MODEL}/versions/1")).json()

    assert (result["name"], result["versions"], result["aliases"]) == ("pet-cnn", [1], [])
    assert (version["job"], version["dataset"], version["labels"]) == (model.id, "pets@1", ["cat", "dog"])
    assert version["onnx"]["sha256"] == ONNX_FILE.sha256
    assert version["provider"] is None
    assert version["trained_on"] == "cpu"


@pytest.mark.usefixtures("model")
async def test_the_artifact_redirects_to_the_object_store(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{MODEL}/versions/1/artifact")

    assert response.status_code == 307
    assert response.headers["location"] == f"memory://jobs/{ONNX_FILE.key}"


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/v1/models/none", "there is no model none"),
        ("GET", f"{MODEL}/versions/2", "there is no model pet-cnn@2"),
        ("GET", f"{MODEL}/versions/2/artifact", "there is no model pet-cnn@2"),
        ("DELETE", f"{MODEL}/versions/2", "there is no model pet-cnn@2"),
        ("PUT", f"{MODEL}/aliases/production", "there is no model pet-cnn@2"),
        ("DELETE", f"{MODEL}/aliases/production", "the model pet-cnn has no alias production"),
    ],
)
async def test_an_unknown_reference_is_not_found(
    client: httpx.AsyncClient, method: str, path: str, detail: str
) -> None:
    response = await client.request(method, path, json={"version": 2} if method == "PUT" else None)

    assert problem(response, 404, "not_found").detail == detail


async def test_an_alias_is_moved_and_deleted(client: httpx.AsyncClient, stores: Stores, model: Job) -> None:
    # given two versions, and an alias of the first
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    alias = f"{MODEL}/aliases/production"
    response = await client.put(alias, json={"version": 1})
    assert (response.status_code, response.json()["alias"], response.json()["version"]) == (200, "production", 1)

    # when it moves to the second
    await client.put(alias, json={"version": 2})

    # then only the second version has it
    result = (await client.get(MODEL)).json()
    assert [(item["alias"], item["version"]) for item in result["aliases"]] == [("production", 2)]
    assert (await client.get(f"{MODEL}/versions/1")).json()["aliases"] == []
    assert (await client.get(f"{MODEL}/versions/2")).json()["aliases"] == ["production"]

    # and when it is deleted, both versions remain
    assert (await client.delete(alias)).status_code == 204
    assert (await client.get(MODEL)).json()["versions"] == [2, 1]


@pytest.mark.usefixtures("model")
async def test_a_version_with_an_alias_is_not_deleted(client: httpx.AsyncClient) -> None:
    await client.put(f"{MODEL}/aliases/production", json={"version": 1})

    assert "production" in problem(await client.delete(f"{MODEL}/versions/1"), 409, "conflict").detail

    await client.delete(f"{MODEL}/aliases/production")
    assert (await client.delete(f"{MODEL}/versions/1")).status_code == 204
    problem(await client.get(f"{MODEL}/versions/1"), 404, "not_found")


@pytest.mark.parametrize("version", [0, -1, 2**31, "1", True, None, 1.5])
async def test_an_alias_needs_a_valid_version(client: httpx.AsyncClient, version: object) -> None:
    response = await client.put(f"{MODEL}/aliases/production", json={"version": version})

    assert problem(response, 422, "invalid").errors[0].where == "version"


async def test_models_are_listed_in_pages(client: httpx.AsyncClient, stores: Stores) -> None:
    for name in ("b", "c", "a"):
        spec = TrainSpec(dataset="pets@1", model=name)
        publish(stores, TRAIN_REQUEST.model_copy(update={"spec": spec}), MODEL_MANIFEST)

    first = (await client.get("/v1/models?limit=2")).json()
    second = (await client.get("/v1/models", params={"limit": 2, "cursor": first["next"]})).json()

    assert [result["name"] for result in first["items"]] == ["a", "b"]
    assert [result["name"] for result in second["items"]] == ["c"]
    assert second["next"] is None


async def test_an_alias_can_split_traffic_and_have_a_shadow(
    client: httpx.AsyncClient, stores: Stores, model: Job
) -> None:
    # given three versions
    for _ in range(2):
        publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)

    # when
    traffic = {"versions": {"1": 90, "2": 10}, "shadow": 3}
    alias = (await client.put(f"{MODEL}/aliases/production", json=traffic)).json()

    # then
    assert (alias["version"], alias["versions"], alias["shadow"]) == (1, {"1": 90, "2": 10}, 3)
    assert (await client.get(MODEL)).json()["aliases"] == [alias]
    for version in (1, 2, 3):
        problem(await client.delete(f"{MODEL}/versions/{version}"), 409, "conflict")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("target", "where"),
    [
        ({"versions": {"1": 90, "2": 9}}, "body"),
        ({"versions": {}}, "versions"),
        ({"versions": {"1": 100.0}}, "versions.1"),
        ({"versions": {"1": 0, "2": 100}}, "versions.1"),
        ({"versions": {"1": 100}, "version": 1}, "version"),
        ({"version": 1, "shadow": 0}, "shadow"),
        ({}, "version"),
    ],
    ids=str,
)
async def test_invalid_traffic_is_refused(client: httpx.AsyncClient, target: object, where: str) -> None:
    response = await client.put(f"{MODEL}/aliases/production", json=target)

    assert problem(response, 422, "invalid").errors[0].where == where
