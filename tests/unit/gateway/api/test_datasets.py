"""/v1/datasets"""

from collections.abc import Callable

import httpx
import pytest

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket
from contract.jobs import Job
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

ARCHIVE = ("pets.zip", b"PK, an archive", "application/zip")
VERSIONS = "/v1/datasets/pets/versions"


async def test_an_uploaded_archive_creates_a_preprocessing_job(
    client: httpx.AsyncClient, objects: MemoryObjects, stores: Stores
) -> None:
    # when an archive is sent with a spec
    spec = '{"image": {"size": [8, 16], "mode": "L"}, "split": {"seed": 7}}'
    response = await client.post(VERSIONS, files={"archive": ARCHIVE}, data={"spec": spec})

    # then a job with this spec is queued
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["spec"]["dataset"]) == ("preprocess", "queued", "pets")
    assert job["spec"]["image"] == {"size": [8, 16], "mode": "L", "resize": "auto"}
    assert job["spec"]["split"]["seed"] == 7

    # and the bytes are stored unchanged
    upload = stores.of(DEFAULT_PROJECT).uploads.get(job["spec"]["source"]["upload"])
    assert (upload.filename, upload.complete) == ("pets.zip", True)
    assert objects.content == {(Bucket.UPLOADS, upload.id): b"PK, an archive"}


@pytest.mark.parametrize("spec", [None, "{}", ("spec.json", b"{}")], ids=["none", "text", "file"])
async def test_the_spec_has_defaults(client: httpx.AsyncClient, spec: object) -> None:
    files = {"archive": ARCHIVE} | ({"spec": spec} if isinstance(spec, tuple) else {})

    response = await client.post(VERSIONS, files=files, data={"spec": spec} if isinstance(spec, str) else {})

    assert response.json()["spec"]["image"] == {"size": "auto", "mode": "auto", "resize": "auto"}


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ('{"image": {"size": [0, 1]}}', "spec.image.size[0]", "greater than or equal to 1"),
        ('{"image": {"colour": "RGB"}}', "spec.image.colour", "there is no field colour"),
        ('{"split": {"train": 0.5}}', "spec.split", "train, val and test must add up to 1"),
        ('{"split": {"train": NaN}}', "spec.split.train", "finite"),
        ("[]", "spec", "object"),
    ],
)
async def test_an_invalid_spec_is_refused(client: httpx.AsyncClient, spec: str, where: str, message: str) -> None:
    response = await client.post(VERSIONS, files={"archive": ARCHIVE}, data={"spec": spec})

    (fault,) = problem(response, 422, "invalid").errors
    assert fault.where == where
    assert message in fault.message


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"archive": ARCHIVE}, "data": {"spec": "{"}},
        {"files": {"archive": ARCHIVE}, "data": {"spec": "[" * 900}},
        {"files": {"archive": ARCHIVE, "other": ARCHIVE}},
        {"files": {"archive": (None, "text")}},
        {"files": {"spec": (None, "{}")}},
        {"files": [("archive", ARCHIVE), ("archive", ARCHIVE)]},
        {"content": b"PK", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"PK", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
    ],
    ids=["not JSON", "deep", "unknown part", "no file", "no archive", "two archives", "no boundary", "no parts"],
)
async def test_a_malformed_form_is_refused(
    client: httpx.AsyncClient, objects: MemoryObjects, request_: dict[str, object]
) -> None:
    problem(await client.post(VERSIONS, **request_), 400, "malformed")  # type: ignore[arg-type]

    assert objects.content == {}


async def test_a_form_with_too_many_files_is_refused(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    problem(await client.post(VERSIONS, files=[("archive", ARCHIVE)] * 3), 413, "too_large")

    assert objects.content == {}


async def test_a_body_that_is_not_a_form_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(VERSIONS, content=b"PK", headers={"Content-Type": "application/zip"})

    detail = problem(response, 415, "unsupported_media").detail
    assert detail == (
        "send an archive as multipart/form-data, or the source of the images or a parent version as application/json"
    )


async def test_a_data_set_and_its_version_are_shown(client: httpx.AsyncClient, dataset: Job) -> None:
    pets = (await client.get("/v1/datasets/pets")).json()
    version = (await client.get(f"{VERSIONS}/1")).json()

    assert (pets["name"], pets["versions"]) == ("pets", [1])
    assert (version["name"], version["version"], version["job"]) == ("pets", 1, dataset.id)
    assert version["shape"] == [3, 32, 32]
    assert version["rejected_files"] == [{"file": "cat/notes.txt", "reason": "is not an image"}]
    assert "shards" not in version


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize("path", ["/v1/datasets/cars", "/v1/datasets/cars/versions/1", f"{VERSIONS}/2"])
async def test_an_unknown_data_set_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert "there is no" in problem(await client.get(path), 404, "not_found").detail


async def test_data_sets_are_listed_in_pages(client: httpx.AsyncClient, stores: Stores) -> None:
    # given three datasets
    for name in ("b", "c", "a"):
        spec = PREPROCESS_REQUEST.spec.model_copy(update={"dataset": name})
        publish(stores, PREPROCESS_REQUEST.model_copy(update={"spec": spec}), DATASET_MANIFEST)

    # when they are listed in pages of two
    first = (await client.get("/v1/datasets?limit=2")).json()
    second = (await client.get("/v1/datasets", params={"limit": 2, "cursor": first["next"]})).json()

    # then each is listed once, sorted by name
    assert [result["name"] for result in first["items"]] == ["a", "b"]
    assert [result["name"] for result in second["items"]] == ["c"]
    assert second["next"] is None


@pytest.mark.usefixtures("dataset")
async def test_a_version_is_deleted(client_with: Callable[..., httpx.AsyncClient]) -> None:
    client = client_with(Scope.READ, Scope.WRITE)

    assert (await client.delete(f"{VERSIONS}/1")).status_code == 204

    problem(await client.get(f"{VERSIONS}/1"), 404, "not_found")
    problem(await client.delete(f"{VERSIONS}/1"), 404, "not_found")


@pytest.mark.usefixtures("dataset")
async def test_a_version_in_use_by_a_job_is_not_deleted(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)

    problem(await client.delete(f"{VERSIONS}/1"), 409, "conflict")

    assert (await client.get(f"{VERSIONS}/1")).status_code == 200
