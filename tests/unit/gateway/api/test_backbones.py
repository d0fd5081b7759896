"""/v1/backbones"""

import json

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.backbones import BUILT_IN, BackboneManifest
from contract.errors import BadModel
from contract.jobs import JobKind
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import BACKBONE_MANIFEST
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS

pytestmark = pytest.mark.anyio

FILE = ("body.safetensors", b"weights", "application/octet-stream")
BACKBONES = "/v1/backbones"
IMAGES = {"size": [96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}


def metadata(**fields: object) -> dict[str, str]:
    return {"metadata": json.dumps({"name": "mine"} | fields)}


def publish(stores: Stores, error: BadModel | None = None, manifest: BackboneManifest = BACKBONE_MANIFEST) -> None:
    claim = stores.leases.claim(JobKind.BACKBONE, "worker")
    assert claim is not None
    if error is None:
        stores.leases.finish(claim.lease, manifest)
    else:
        stores.leases.fail(claim.lease, error)


async def test_an_uploaded_backbone_creates_a_job(
    client: httpx.AsyncClient, objects: MemoryObjects, stores: Stores
) -> None:
    fields = metadata(architecture="resnet18", preprocessing=IMAGES, licence="MIT")

    response = await client.post(BACKBONES, files={"backbone": FILE}, data=fields)

    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["spec"]["backbone"]) == ("backbone", "queued", "mine")
    assert (job["spec"]["architecture"], job["spec"]["preprocessing"]["size"]) == ("resnet18", [96, 96])
    upload = stores.of(DEFAULT_PROJECT).uploads.get(job["spec"]["source"]["upload"])
    assert objects.content == {(Bucket.UPLOADS, upload.id): b"weights"}
    assert [item["id"] for item in (await client.get("/v1/jobs?model=mine")).json()["items"]] == [job["id"]]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"name": "No Name"}, "metadata.name"),
        ({"architecture": "vgg16"}, "metadata.architecture"),
        ({"architecture": "resnet18"}, "metadata"),
        ({"preprocessing": IMAGES | {"mean": [0.5]}}, "metadata.preprocessing"),
        ({"preprocessing": IMAGES | {"mean": [127, 127, 127]}}, "metadata.preprocessing"),
        ({"preprocessing": {"size": [96, 96]}}, "metadata.preprocessing.mean"),
        ({"labels": []}, "metadata.labels"),
    ],
)
async def test_invalid_metadata_is_refused(
    client: httpx.AsyncClient, objects: MemoryObjects, fields: dict[str, object], where: str
) -> None:
    response = await client.post(BACKBONES, files={"backbone": FILE}, data=metadata(**fields))

    assert problem(response, 422, "invalid").errors[0].where == where
    assert objects.content == {}


async def test_a_backbone_needs_a_name_and_a_file(client: httpx.AsyncClient) -> None:
    unnamed = await client.post(BACKBONES, files={"backbone": FILE})
    assert problem(unnamed, 422, "invalid").errors[0].where == "metadata.name"
    problem(await client.post(BACKBONES, files={"model": FILE}, data=metadata()), 400, "malformed")
    problem(await client.post(BACKBONES, json={"name": "mine"}), 415, "unsupported_media")


async def test_a_name_of_tidepool_is_refused_and_the_file_deleted(
    client: httpx.AsyncClient, objects: MemoryObjects
) -> None:
    response = await client.post(BACKBONES, files={"backbone": FILE}, data=metadata(name="lite0"))

    assert (
        "lite0 is a backbone that comes with Tidepool; choose another name" in problem(response, 409, "conflict").detail
    )
    assert objects.content == {}


async def test_a_repeated_upload_creates_one_job(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await client.post(BACKBONES, files={"backbone": FILE}, data=metadata(), headers=headers)

    again = await client.post(BACKBONES, files={"backbone": FILE}, data=metadata(), headers=headers)
    other = await client.post(BACKBONES, files={"backbone": FILE}, data=metadata(name="other"), headers=headers)

    assert again.json() == first.json()
    problem(other, 422, "invalid")
    assert len(objects.content) == 1


async def test_a_backbone_may_be_as_large_as_an_upload(client: httpx.AsyncClient) -> None:
    large = ("body", bytes(SETTINGS.max_json_bytes), "application/octet-stream")
    assert (await client.post(BACKBONES, files={"backbone": large}, data=metadata())).status_code == 202

    larger = ("body", bytes(SETTINGS.max_upload_bytes), "application/octet-stream")
    problem(await client.post(BACKBONES, files={"backbone": larger}, data=metadata()), 413, "too_large")


async def test_the_backbones_of_tidepool_are_listed(client: httpx.AsyncClient) -> None:
    items = (await client.get(BACKBONES)).json()["items"]

    assert [item["name"] for item in items] == ["lite0", "lite1", "lite2"]
    lite1 = (await client.get(f"{BACKBONES}/lite1")).json()
    assert lite1 == items[1]
    assert (lite1["built_in"], lite1["licence"], lite1["images"]["size"]) == (True, "Apache-2.0", [240, 240])
    assert (lite1["sha256"], lite1["parameters"]) == (BUILT_IN["lite1"].sha256, 4_135_680)


async def test_a_backbone_can_be_read_and_deleted(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())
    publish(stores)

    assert (await client.get(f"{BACKBONES}/mine")).json()["versions"] == [1]
    version = (await client.get(f"{BACKBONES}/mine/versions/1")).json()
    assert (version["status"], version["architecture"], version["features"]) == ("ready", "resnet18", 512)
    assert (await client.delete(f"{BACKBONES}/mine/versions/1")).status_code == 204
    problem(await client.get(f"{BACKBONES}/mine"), 404, "not_found")
    problem(await client.delete(f"{BACKBONES}/lite0/versions/1"), 409, "conflict")


async def test_a_rejected_backbone_is_shown_with_its_reason(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())
    publish(stores, BadModel("the file is a pickle"))

    version = (await client.get(f"{BACKBONES}/mine/versions/1")).json()

    assert (version["status"], version["reason"]) == ("rejected", "the file is a pickle")
    assert (await client.get(f"{BACKBONES}/mine")).json()["rejected"] == [1]


async def test_a_job_can_take_a_presigned_upload(client: httpx.AsyncClient) -> None:
    job = (await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())).json()
    spec = {"backbone": "mine", "source": job["spec"]["source"]}

    assert (await client.post("/v1/jobs", json={"kind": "backbone", "spec": spec})).status_code == 202
    spec["source"] = {"upload": "none"}
    problem(await client.post("/v1/jobs", json={"kind": "backbone", "spec": spec}), 404, "not_found")


def training(**spec: object) -> dict[str, object]:
    return {"kind": "train", "spec": {"dataset": "pets", "model": "pet-cnn", "init_from": "mine"} | spec}


@pytest.mark.usefixtures("dataset")
async def test_a_training_is_pinned_to_the_newest_version(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())
    publish(stores)

    job = (await client.post("/v1/jobs", json=training())).json()

    assert job["spec"]["init_from"] == "mine@1"
    problem(await client.delete(f"{BACKBONES}/mine/versions/1"), 409, "conflict")


@pytest.mark.usefixtures("dataset")
async def test_an_onnx_file_is_not_fine_tuned(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())
    publish(stores, manifest=BACKBONE_MANIFEST.model_copy(update={"format": "onnx"}))

    refused = await client.post("/v1/jobs", json=training(init_from="mine@1", method="fine_tune"))

    assert "mine@1 is an ONNX file, which cannot be fine-tuned" in problem(refused, 422, "invalid").detail
    assert (await client.post("/v1/jobs", json=training(method="probe"))).status_code == 202


@pytest.mark.usefixtures("dataset")
async def test_an_unknown_start_is_not_found(client: httpx.AsyncClient, stores: Stores) -> None:
    unknown = await client.post("/v1/jobs", json=training())
    assert "there is no model or backbone mine" in problem(unknown, 404, "not_found").detail

    await client.post(BACKBONES, files={"backbone": FILE}, data=metadata())
    publish(stores, BadModel("the file is a pickle"))
    rejected = await client.post("/v1/jobs", json=training(init_from="mine@1"))
    assert "mine@1 was rejected: the file is a pickle" in problem(rejected, 422, "bad_model").detail
