"""A preprocessing job turns its upload into a dataset with stored shards, in one attempt or in parts."""

import io
import tarfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.datasets import DatasetManifest, Split
from contract.division import Outcome
from contract.errors import BadArchive
from contract.jobs import Job, JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import Reference, UploadSource
from media.image_index import read_index
from services.preprocess.worker import preprocess
from services.storage.database import Database
from services.storage.jobs.claims import Claim
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.images import Files, class_folders, png, zipped
from tests.support.job_runs import memory_stores, run, uploaded
from worker.task import Handler, Task

FILES = class_folders() | {"cat/bad.png": b"text"}


class CountingObjects(MemoryObjects):
    """Counts the bytes that are read of uploads: of whole objects, and of ranges."""

    read_whole = 0
    read_by_range = 0

    def read(self, ref: ObjectRef) -> bytes:
        self.read_whole += ref.size if ref.bucket is Bucket.UPLOADS else 0
        return super().read(ref)

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        self.read_by_range += span.stop - span.start if ref.bucket is Bucket.UPLOADS else 0
        return super().read_range(ref, span)


def tarred(path: Path, files: dict[str, bytes], mode: Literal["w", "w:gz"] = "w") -> Path:
    """Write a tar of the files, in order."""
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def preprocessed(
    stores: Stores, folder: Path, files: Files = FILES, handler: Handler = preprocess
) -> tuple[Job, list[Claim]]:
    """Run a job for a zip of the files to its end; return it and its attempts."""
    folder.mkdir(exist_ok=True)
    source = UploadSource(upload=uploaded(stores, zipped(folder / "pets.zip", files)))
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))
    return run(stores, request, handler, folder)


def published(stores: Stores) -> DatasetManifest:
    return stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]


def rows(stores: Stores) -> list[dict[str, Any]]:
    index = published(stores).index
    assert index is not None
    table: list[dict[str, Any]] = read_index(io.BytesIO(stores.objects.read(index))).to_pylist()
    return table


def test_an_upload_becomes_a_dataset(stores: Stores, tmp_path: Path) -> None:
    job, attempts = preprocessed(stores, tmp_path)

    manifest = published(stores)
    assert (job.state, len(attempts)) == (JobState.SUCCEEDED, 1)
    assert manifest.classes == ("cat", "dog")
    assert manifest.image.shape == (3, 8, 8)
    assert [choice.what for choice in manifest.decisions] == ["image.mode", "image.size", "image.resize"]
    assert manifest.rejected == 1
    for split in Split:
        (shard,) = manifest.shards[split]
        images = np.load(io.BytesIO(stores.objects.read(shard.images)))
        labels = np.load(io.BytesIO(stores.objects.read(shard.labels)))
        assert images.shape == (shard.count, 3, 8, 8)
        assert len(labels) == shard.count == getattr(manifest.counts, split)


def test_a_large_upload_is_divided_and_becomes_the_same_dataset(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a dataset that was prepared in one attempt
    preprocessed(stores, tmp_path / "whole")
    whole = published(stores)

    # when a part has at most eight images
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")
    divided = memory_stores()
    job, attempts = preprocessed(divided, tmp_path / "divided")

    # then one attempt divides, three prepare a part each, one merges them, and the dataset is the same
    assert job.state == JobState.SUCCEEDED
    assert all(attempt.part for attempt in attempts[1:-1])
    assert len(attempts[-1].parts or ()) == 3
    differing = {"shards", "index"}
    assert published(divided).model_dump(exclude=differing) == whole.model_dump(exclude=differing)
    assert {(row["path"], row["sha256"], row["split"]) for row in rows(divided)} == {
        (row["path"], row["sha256"], row["split"]) for row in rows(stores)
    }


def test_a_large_compressed_tar_is_unpacked_once_and_divided(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the files of a dataset in a tar.gz
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")
    source = UploadSource(upload=uploaded(stores, tarred(tmp_path / "pets.tar.gz", FILES, "w:gz")))
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))

    # when it is prepared, and the same files as a zip
    job, attempts = run(stores, request, preprocess, tmp_path)
    zip_stores = memory_stores()
    preprocessed(zip_stores, tmp_path / "zip")

    # then three parts read the unpacked tar, and the dataset is the same
    assert (job.state, len(attempts)) == (JobState.SUCCEEDED, 5)
    assert {attempt.part["archive"]["bucket"] for attempt in attempts if attempt.part} == {"jobs"}
    differing = {"shards", "index"}
    assert published(stores).model_dump(exclude=differing) == published(zip_stores).model_dump(exclude=differing)
    assert {row["start"] for row in rows(stores)} == {None}
    assert None not in {row["start"] for row in rows(zip_stores)}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_parts_together_read_the_archive_about_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an archive that is divided into eight parts, with files between the images that no part needs
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")
    files = {name: png(seed, 24, 24) for seed, name in enumerate(class_folders(count=32))}
    for number, name in enumerate(list(files)):
        files[f"{name}.txt"] = b"text " * number
    stores = Stores(Database.in_memory(), objects := CountingObjects())
    archive = zipped(tmp_path / "pets.zip", files) if kind == "zip" else tarred(tmp_path / "pets.tar", files)
    source = UploadSource(upload=uploaded(stores, archive))

    # when it is prepared
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))
    job, attempts = run(stores, request, preprocess, tmp_path)

    # then the first attempt reads the archive to plan, and the parts read it once between them
    assert (job.state, len([attempt for attempt in attempts if attempt.part])) == (JobState.SUCCEEDED, 8)
    size = archive.stat().st_size
    assert objects.read_whole == size
    assert 0.5 * size < objects.read_by_range <= 1.2 * size


def test_an_empty_archive_fails_the_job_with_bad_archive(stores: Stores, tmp_path: Path) -> None:
    job, _ = preprocessed(stores, tmp_path, {})

    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "bad_archive"


def test_a_failing_part_fails_the_job_with_its_reason(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an archive whose second part cannot be used
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")
    begun: list[Task] = []

    def fails(task: Task) -> Outcome:
        begun.append(task)
        if len(begun) == 3:
            raise BadArchive("the archive inflates to too much")
        return preprocess(task)

    # when it runs
    job, attempts = preprocessed(stores, tmp_path, handler=fails)

    # then the job fails with that part's error, the third part never starts, and nothing is published
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("bad_archive", "part 2: the archive inflates to too much")
    assert len([attempt for attempt in attempts if attempt.part]) == 2
    assert stores.of(DEFAULT_PROJECT).datasets.list(10).items == ()
