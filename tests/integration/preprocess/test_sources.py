"""A prefix of an object store becomes a dataset, as a zip of the same files does."""

import hashlib
import io
from pathlib import Path

import pytest
from minio import Minio

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest
from contract.errors import BadArchive, Conflict, Corrupt, NotFound
from contract.jobs import Job, JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import Reference, S3Source, UploadSource
from media.image_index import read_index
from services.preprocess.worker import preprocess
from services.storage.sources import SourcePrefix
from services.storage.stores import Stores
from tests.support.images import class_folders, zipped
from tests.support.job_runs import memory_stores, run, uploaded
from tests.support.servers import S3Server
from tests.support.source_bucket import source_bucket

BUCKET = "photos"
FILES = class_folders() | {"cat/bad.png": b"text", "cat/empty.png": b"", "@eaDir/x.png": b"x"}
SOURCE = S3Source(s3=f"s3://{BUCKET}/pets")


@pytest.fixture
def client(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Minio:
    """A client of a store whose bucket `photos` has the files below `pets/` and others beside it."""
    files = {f"pets/{name}": data for name, data in FILES.items()} | {"pets-2/owl/1.png": b"x"}
    return source_bucket(s3, monkeypatch, BUCKET, files)


def prepared(stores: Stores, folder: Path, source: S3Source | UploadSource) -> tuple[Job, int]:
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))
    job, attempts = run(stores, request, preprocess, folder)
    return job, len(attempts)


def manifest_of(stores: Stores) -> DatasetManifest:
    return stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]


@pytest.mark.parametrize(("most", "attempts"), [("100", 1), ("8", 5)])
def test_a_prefix_becomes_the_dataset_of_its_files(
    client: Minio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, attempts: int
) -> None:
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", most)
    stores, zip_stores = memory_stores(), memory_stores()

    job = prepared(stores, tmp_path / "s3", SOURCE)
    upload = uploaded(zip_stores, zipped(tmp_path / "pets.zip", dict(sorted(FILES.items()))))
    prepared(zip_stores, tmp_path / "zip", UploadSource(upload=upload))

    assert (job[0].state, job[1]) == (JobState.SUCCEEDED, attempts), job[0].error
    manifest = manifest_of(stores)
    differing = {"shards", "index"}
    assert manifest.model_dump(exclude=differing) == manifest_of(zip_stores).model_dump(exclude=differing)
    assert manifest.index is not None
    rows = read_index(io.BytesIO(stores.objects.read(manifest.index))).to_pylist()
    assert {row["member"] for row in rows} == {f"pets/{name}" for name in class_folders()}
    assert {row["start"] for row in rows} == {None}


def test_an_object_that_changes_meanwhile_is_noticed(client: Minio) -> None:
    prefix = SourcePrefix.from_environment(SOURCE)
    item = next(item for item in prefix.list(100) if item.size > 10)
    client.put_object(BUCKET, item.key, io.BytesIO(b"x" * item.size), item.size)

    with pytest.raises(Corrupt, match="has changed"):
        prefix.read(item)


@pytest.mark.usefixtures("client")
def test_a_prefix_without_objects_is_refused() -> None:
    with pytest.raises(NotFound, match="the bucket photos has no objects below cats/"):
        SourcePrefix.from_environment(S3Source(s3=f"s3://{BUCKET}/cats")).list(100)


def test_too_many_objects_are_refused(client: Minio) -> None:
    with pytest.raises(BadArchive, match="over 5 objects"):
        SourcePrefix.from_environment(SOURCE).list(5)


def test_a_bucket_that_does_not_exist_is_named(client: Minio) -> None:
    with pytest.raises(NotFound, match="the bucket none"):
        SourcePrefix.from_environment(S3Source(s3="s3://none/x")).list(5)


def test_an_original_is_read_from_its_source_and_checked(client: Minio) -> None:
    prefix = SourcePrefix.from_environment(SOURCE)
    name, data = next(iter(class_folders().items()))
    key, digest = f"pets/{name}", hashlib.sha256(data).hexdigest()

    assert prefix.read_original(key, digest, 10_000) == data
    with pytest.raises(Conflict, match=f"s3://photos/{key} was changed after"):
        prefix.read_original(key, "0" * 64, 10_000)
    with pytest.raises(Conflict, match="was changed"):
        prefix.read_original(key, digest, len(data) - 1)
    with pytest.raises(Conflict, match=r"s3://photos/pets/none\.png was deleted after"):
        prefix.read_original("pets/none.png", digest, 10_000)
