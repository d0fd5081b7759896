"""A dataset version from a bucket, made through the REST API: its originals are read from the bucket."""

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from minio import Minio

from contract.access import DEFAULT_PROJECT, Scope
from contract.jobs import Job, JobKind
from contract.references import UploadSource
from messaging.in_memory import MemoryChannel
from services.preprocess.worker import preprocess
from services.storage.stores import Stores
from tests.support.images import class_folders, zipped
from tests.support.job_runs import memory_stores, run_due, uploaded
from tests.support.problems import problem
from tests.support.servers import S3Server
from tests.support.source_bucket import source_bucket
from tests.unit.gateway.backends import classify, gateway
from tests.unit.inference.judging.publishing import evaluated, publish_network, result

pytestmark = pytest.mark.anyio

BUCKET = "originals"
FILES = class_folders(("cat", "dog", "owl"), 12)
WEIGHTS, OTHER = (np.random.default_rng(seed).normal(0, 0.1, (144, 3)).astype(np.float32) for seed in (1, 2))
PREPARATION = {"image": {"size": [4, 4]}, "split": {"train": 0.2, "val": 0.3, "test": 0.5}}  # not as the models need it
VERSIONS = "/v1/datasets/pets/versions"


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Minio:
    return source_bucket(s3, monkeypatch, BUCKET, {f"pets/{name}": data for name, data in FILES.items()})


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores()
    for weights in (WEIGHTS, OTHER):
        publish_network(stores, weights)
    return stores


@pytest.fixture
async def client(stores: Stores, bucket: Minio) -> AsyncIterator[httpx.AsyncClient]:
    key = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    transport = httpx.ASGITransport(gateway(stores, MemoryChannel(classify)))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://tidepool", headers=headers) as client:
        yield client


async def version_of(client: httpx.AsyncClient, stores: Stores, source: dict[str, str], folder: Path) -> Job:
    """Make the next version of pets through the REST API, and run its job."""
    response = await client.post(VERSIONS, json={"source": source} | PREPARATION)
    assert response.status_code == 202, response.text
    run_due(stores, JobKind("preprocess"), preprocess, folder)
    return stores.of(DEFAULT_PROJECT).jobs.get(response.json()["id"])


@pytest.mark.parametrize(("most", "attempts"), [("100", 1), ("10", 5)])
async def test_an_evaluation_decodes_the_objects_of_the_bucket_like_the_files_of_a_zip(
    client: httpx.AsyncClient, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, attempts: int
) -> None:
    # given the same files as a version from the bucket, and one from a zip
    first = await version_of(client, stores, {"s3": f"s3://{BUCKET}/pets"}, tmp_path / "s3")
    upload = uploaded(stores, zipped(tmp_path / "pets.zip", dict(sorted(FILES.items()))))
    second = await version_of(client, stores, UploadSource(upload=upload).model_dump(), tmp_path / "zip")
    assert [job.result["dataset"] for job in (first, second) if job.result] == ["pets@1", "pets@2"]

    # when two models that take larger images are compared on each
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", most)
    spec = {"model": "pet-cnn@1", "compare_with": "pet-cnn@2"}
    of_bucket, claims = evaluated(stores, tmp_path / "bucket", dataset="pets@1", **spec)
    of_zip, _ = evaluated(stores, tmp_path / "archive", dataset="pets@2", **spec)

    # then the reports are equal
    assert len(claims) == attempts
    fields = {"metrics", "baseline", "comparison", "temperature", "mistakes", "confusions", "label_errors", "failed"}
    assert result(of_bucket).model_dump(include=fields) == result(of_zip).model_dump(include=fields)


@pytest.mark.parametrize("change", ["changed", "deleted"])
async def test_an_object_that_was_changed_or_deleted_is_named(
    client: httpx.AsyncClient, bucket: Minio, stores: Stores, tmp_path: Path, change: str
) -> None:
    # given a version whose originals can be read
    await version_of(client, stores, {"s3": f"s3://{BUCKET}/pets"}, tmp_path / "s3")
    image = (await client.get(f"{VERSIONS}/1/images?split=test")).json()["items"][0]
    path = f"{VERSIONS}/1/images/{image['sha256']}/original"
    original = await client.get(path)
    assert hashlib.sha256(original.content).hexdigest() == image["sha256"]

    # when one is changed or deleted
    key = f"pets/{image['path']}"
    if change == "deleted":
        bucket.remove_object(BUCKET, key)
    else:
        bucket.put_object(BUCKET, key, io.BytesIO(original.content[::-1]), len(original.content))

    # then the message names it
    message = f"the original s3://{BUCKET}/{key} was {change} after the dataset version was prepared"
    assert message in problem(await client.get(path), 409, "conflict").detail
    job, claims = evaluated(stores, tmp_path / "run", dataset="pets@1")
    assert job.error is not None
    assert (job.error.code, len(claims)) == ("conflict", 1)
    assert job.error.message.startswith(message)
