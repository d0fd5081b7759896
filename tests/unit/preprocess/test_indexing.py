"""An index job gives a dataset version without an index its index from the upload."""

import io
from pathlib import Path

from sqlalchemy import select, update

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import NO_INDEX, DatasetManifest
from contract.jobs import Job, JobKind, JobState
from contract.kinds.index import IndexRequest, IndexSpec
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import Reference, UploadSource
from media.image_index import read_index
from services.preprocess.indexing import index_dataset
from services.preprocess.worker import preprocess
from services.storage.stores import Stores
from services.storage.sweep.indexing import create_index_jobs
from services.storage.tables import dataset_versions
from tests.support.images import class_folders, encoded, noise, zipped
from tests.support.job_runs import run, uploaded

FILES = class_folders(count=12) | {"cat/bad.png": b"text"}
COPY = encoded(noise(9, 9, seed=77))


def manifest_of(stores: Stores) -> DatasetManifest:
    return stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]


def prepared_by_an_older_release(stores: Stores, folder: Path, files: dict[str, bytes]) -> DatasetManifest:
    """Prepare a version and remove its index from its manifest; return the manifest before."""
    source = UploadSource(upload=uploaded(stores, zipped(folder / "pets.zip", files)))
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))
    run(stores, request, preprocess, folder / "prepared")
    manifest = manifest_of(stores)
    older = manifest.model_copy(update={"index": None, "data_sha256": None, "warnings": ()})
    with stores.database.write() as connection:
        connection.execute(update(dataset_versions).values(manifest=older.model_dump(mode="json")))
    return manifest


def indexed(stores: Stores, folder: Path) -> Job:
    request = IndexRequest(kind=JobKind.INDEX, spec=IndexSpec(dataset="pets@1"))
    return run(stores, request, index_dataset, folder / "indexed")[0]


def rows(stores: Stores, manifest: DatasetManifest) -> list[dict[str, object]]:
    assert manifest.index is not None
    table: list[dict[str, object]] = read_index(io.BytesIO(stores.objects.read(manifest.index))).to_pylist()
    return table


def test_the_index_is_that_of_a_version_made_by_this_release(stores: Stores, tmp_path: Path) -> None:
    before = prepared_by_an_older_release(stores, tmp_path, FILES)

    job = indexed(stores, tmp_path)

    after = manifest_of(stores)
    assert job.state == JobState.SUCCEEDED
    assert job.result == {"dataset": "pets@1", "indexed": 24, "missing": 0}
    assert after.model_copy(update={"index": None}) == before.model_copy(update={"index": None})
    assert rows(stores, after) == rows(stores, before)


def test_equal_images_keep_their_labels_and_are_taken_in_the_order_of_their_paths(
    stores: Stores, tmp_path: Path
) -> None:
    copies = {"dog/z.png": COPY, "cat/y.png": COPY, "cat/x.png": COPY}
    before = prepared_by_an_older_release(stores, tmp_path, FILES | copies)

    indexed(stores, tmp_path)

    after = rows(stores, manifest_of(stores))
    assert {(row["path"], row["label"]) for row in after} == {
        (row["path"], row["label"]) for row in rows(stores, before)
    }
    assert len({(row["split"], row["shard"], row["row"]) for row in after}) == 27


def test_images_whose_files_are_not_in_the_upload_are_counted(stores: Stores, tmp_path: Path) -> None:
    # given an upload that has other bytes for one image now
    prepared_by_an_older_release(stores, tmp_path, FILES)
    changed = dict(FILES) | {next(iter(FILES)): COPY}
    other = stores.objects.put(Bucket.UPLOADS, "upload-1", zipped(tmp_path / "other.zip", changed))
    project = stores.of(DEFAULT_PROJECT)
    project.uploads.forget("upload-1")
    project.uploads.add("pets.zip", other)

    job = indexed(stores, tmp_path)

    manifest = manifest_of(stores)
    assert job.result == {"dataset": "pets@1", "indexed": 23, "missing": 1}
    assert [(warning.code, warning.count) for warning in manifest.warnings] == [("incomplete_index", 1)]
    assert manifest.data_sha256 is None
    assert len(rows(stores, manifest)) == 23


def test_a_version_whose_upload_is_gone_says_so(stores: Stores, tmp_path: Path) -> None:
    prepared_by_an_older_release(stores, tmp_path, FILES)
    stores.objects.remove(Bucket.UPLOADS, ["upload-1"])

    job = indexed(stores, tmp_path)

    manifest = manifest_of(stores)
    assert (job.state, manifest.index) == (JobState.SUCCEEDED, None)
    assert [warning.code for warning in manifest.warnings] == [NO_INDEX]


def test_index_jobs_are_created_once_for_each_version_without_an_index(stores: Stores, tmp_path: Path) -> None:
    prepared_by_an_older_release(stores, tmp_path, FILES)

    assert [create_index_jobs(stores.database) for _ in range(2)] == [1, 0]

    claim = stores.leases.claim(JobKind.INDEX, "replica")
    assert claim is not None
    assert claim.job.spec == {"dataset": "pets@1"}


def test_no_index_job_is_created_for_a_version_with_an_index_or_a_reason(stores: Stores, tmp_path: Path) -> None:
    prepared_by_an_older_release(stores, tmp_path, FILES)
    stores.objects.remove(Bucket.UPLOADS, ["upload-1"])
    indexed(stores, tmp_path)
    with stores.database.read() as connection:
        assert connection.execute(select(dataset_versions.c.version)).scalars().all() == [1]

    assert create_index_jobs(stores.database) == 0
