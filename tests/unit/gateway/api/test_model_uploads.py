"""POST /v1/models/{name}/versions"""

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.errors import BadModel
from contract.jobs import JobKind
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS

pytestmark = pytest.mark.anyio

FILE = ("vit.onnx", b"a graph", "application/octet-stream")
VERSIONS = "/v1/models/pet-vit/versions"
PREPROCESSING = '{"size": [8, 6], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}'
METADATA = f'{{"labels": ["cat", "dog"], "preprocessing": {PREPROCESSING}}}'


async def test_an_uploaded_model_creates_a_vetting_job(
    client: httpx.AsyncClient, objects: MemoryObjects, stores: Stores
) -> None:
    response = await client.post(VERSIONS, files={"model": FILE}, data={"metadata": METADATA})

    # then a vetting job is queued
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["spec"]["model"]) == ("vet", "queued", "pet-vit")
    assert job["spec"]["labels"] == ["cat", "dog"]
    assert job["spec"]["preprocessing"]["size"] == [8, 6]
    assert [result["id"] for result in (await client.get("/v1/jobs?model=pet-vit")).json()["items"]] == [job["id"]]

    # and the bytes are stored unchanged
    upload = stores.of(DEFAULT_PROJECT).uploads.get(job["spec"]["source"]["upload"])
    assert (upload.filename, upload.complete) == ("vit.onnx", True)
    assert objects.content == {(Bucket.UPLOADS, upload.id): b"a graph"}


async def test_metadata_is_optional(client: httpx.AsyncClient) -> None:
    spec = (await client.post(VERSIONS, files={"model": FILE})).json()["spec"]

    assert (spec["labels"], spec["preprocessing"]) == ([], None)


@pytest.mark.parametrize(
    ("metadata", "where"),
    [
        ('{"labels": [""]}', "metadata.labels[0]"),
        ('{"classes": []}', "metadata.classes"),
        ('{"preprocessing": {"size": [8, 6], "mean": [0.5], "std": [0.2]}}', "metadata.preprocessing"),
        ('{"labels": ["cat", "dog", "cat"]}', "metadata.labels"),
        ('{"output": "scores"}', "metadata.output"),
        (f'{{"preprocessing": {PREPROCESSING[:-1]}, "layout": "CHWN"}}}}', "metadata.preprocessing.layout"),
        (f'{{"preprocessing": {PREPROCESSING.replace("0.5", "127.5")}}}', "metadata.preprocessing"),
        (f'{{"preprocessing": {PREPROCESSING.replace("0.2]", "0]")}}}', "metadata.preprocessing.std[2]"),
        ("[]", "metadata"),
    ],
)
async def test_invalid_metadata_is_refused(
    client: httpx.AsyncClient, objects: MemoryObjects, metadata: str, where: str
) -> None:
    response = await client.post(VERSIONS, files={"model": FILE}, data={"metadata": metadata})

    assert problem(response, 422, "invalid").errors[0].where == where
    assert objects.content == {}


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"archive": FILE}, "a multipart body needs a part `model`"),
        ({"model": (None, "text")}, "the part `model` must be a file, with a filename"),
        ({"model": FILE, "other": FILE}, "a multipart body needs a part `model`"),
        ({"metadata": (None, "{}")}, "a multipart body needs a part `model`"),
    ],
    ids=["another name", "no file", "unknown part", "no model"],
)
async def test_a_malformed_form_is_refused(client: httpx.AsyncClient, files: dict[str, object], detail: str) -> None:
    response = await client.post(VERSIONS, files=files)  # type: ignore[arg-type]

    assert detail in problem(response, 400, "malformed").detail


async def test_metadata_that_is_not_json_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(VERSIONS, files={"model": FILE}, data={"metadata": "{"})

    assert problem(response, 400, "malformed").detail == "the part `metadata` is not JSON"


async def test_labels_may_be_an_object_by_class_number(client: httpx.AsyncClient) -> None:
    metadata = '{"labels": {"0": "cat", "1": "dog"}, "output": "probabilities"}'

    spec = (await client.post(VERSIONS, files={"model": FILE}, data={"metadata": metadata})).json()["spec"]

    assert (spec["labels"], spec["output"]) == (["cat", "dog"], "probabilities")


async def test_samples_can_be_a_file(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    samples = ("samples.npz", b"arrays", "application/octet-stream")
    headers = {"Idempotency-Key": "once"}

    first = await client.post(VERSIONS, files={"model": FILE, "samples": samples}, headers=headers)
    again = await client.post(VERSIONS, files={"model": FILE, "samples": samples}, headers=headers)
    other = await client.post(VERSIONS, files={"model": FILE, "samples": FILE}, headers=headers)

    upload = first.json()["spec"]["samples_file"]["upload"]
    assert objects.content[Bucket.UPLOADS, upload] == b"arrays"
    assert again.json() == first.json()
    problem(other, 422, "invalid")
    assert len(objects.content) == 2


async def test_samples_come_in_one_way(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    metadata = {"metadata": '{"samples": {"x": [1, 2]}}'}

    spec = (await client.post(VERSIONS, files={"model": FILE}, data=metadata)).json()["spec"]
    both = await client.post(VERSIONS, files={"model": FILE, "samples": FILE}, data=metadata)

    assert spec["samples"] == {"x": [1, 2]}
    problem(both, 422, "invalid")
    assert len(objects.content) == 1


async def test_a_model_may_be_as_large_as_an_upload(client: httpx.AsyncClient) -> None:
    large = ("vit.onnx", bytes(SETTINGS.max_json_bytes), "application/octet-stream")
    assert (await client.post(VERSIONS, files={"model": large})).status_code == 202

    larger = ("vit.onnx", bytes(SETTINGS.max_upload_bytes), "application/octet-stream")
    problem(await client.post(VERSIONS, files={"model": larger}), 413, "too_large")


async def test_a_repeated_upload_creates_one_job(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await client.post(VERSIONS, files={"model": FILE}, headers=headers)

    again = await client.post(VERSIONS, files={"model": FILE}, headers=headers)
    other = await client.post(VERSIONS, files={"model": FILE}, data={"metadata": METADATA}, headers=headers)

    assert again.json() == first.json()
    problem(other, 422, "invalid")
    assert len(objects.content) == 1


async def test_a_rejected_version_is_shown_with_its_reason(client: httpx.AsyncClient, stores: Stores) -> None:
    # given an upload that is not a model
    await client.post(VERSIONS, files={"model": FILE})
    claim = stores.leases.claim(JobKind.VET, "worker")
    assert claim is not None
    stores.leases.fail(claim.lease, BadModel("the file is not an ONNX model"))

    # then
    version = (await client.get(f"{VERSIONS}/1")).json()
    assert (version["status"], version["reason"]) == ("rejected", "the file is not an ONNX model")
    assert (await client.get("/v1/models/pet-vit")).json()["rejected"] == [1]

    # and every use of it is refused
    for response in (
        await client.get(f"{VERSIONS}/1/artifact"),
        await client.put("/v1/models/pet-vit/aliases/live", json={"version": 1}),
        await client.post(
            "/v1/jobs", json={"kind": "predict", "spec": {"model": "pet-vit@1", "input": {"upload": "any"}}}
        ),
    ):
        assert "was rejected: the file is not an ONNX model" in problem(response, 422, "bad_model").detail


async def test_a_vetting_job_can_take_a_presigned_upload(client: httpx.AsyncClient, stores: Stores) -> None:
    upload = (await client.post(VERSIONS, files={"model": FILE})).json()["spec"]["source"]["upload"]

    def vet(upload: str) -> dict[str, object]:
        return {"kind": "vet", "spec": {"model": "pet-vit", "source": {"upload": upload}}}

    assert (await client.post("/v1/jobs", json=vet(upload))).status_code == 202
    problem(await client.post("/v1/jobs", json=vet("none")), 404, "not_found")
