"""A preprocessing job's upload becomes a data set whose shards are stored, in one attempt or in parts."""

import io
from pathlib import Path

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest, Split
from contract.division import Outcome
from contract.jobs import Job, JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import Reference, UploadSource
from services.preprocess.worker import preprocess
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from tests.support.images import Files, class_folders, zipped
from tests.support.job_runs import memory_stores, run, uploaded
from worker.task import Handler, Task

FILES = class_folders() | {"cat/bad.png": b"text"}


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def preprocessed(
    stores: Stores, folder: Path, files: Files = FILES, handler: Handler = preprocess
) -> tuple[Job, list[Claim]]:
    """The job for a zip of the files, run to its end, and the attempts at it."""
    folder.mkdir(exist_ok=True)
    source = UploadSource(upload=uploaded(stores, zipped(folder / "pets.zip", files)))
    request = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PreprocessSpec(dataset="pets", source=source))
    return run(stores, request, handler, folder)


def published(stores: Stores) -> DatasetManifest:
    return stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]


def test_upload_becomes_a_data_set(stores: Stores, tmp_path: Path) -> None:
    job, attempts = preprocessed(stores, tmp_path)

    manifest = published(stores)
    assert (job.state, len(attempts)) == (JobState.SUCCEEDED, 1)
    assert manifest.classes == ("cat", "dog")
    assert manifest.image.shape == (3, 32, 32)
    assert manifest.rejected == 1
    for split in Split:
        (shard,) = manifest.shards[split]
        images = np.load(io.BytesIO(stores.objects.read(shard.images)))
        labels = np.load(io.BytesIO(stores.objects.read(shard.labels)))
        assert images.shape == (shard.count, 3, 32, 32)
        assert len(labels) == shard.count == getattr(manifest.counts, split)


def test_large_upload_is_divided_and_becomes_the_same(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a data set that was made at once
    preprocessed(stores, tmp_path / "whole")
    whole = published(stores)

    # when an attempt takes eight pictures at most
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")
    divided = memory_stores()
    job, attempts = preprocessed(divided, tmp_path / "divided")

    # then one attempt divides, three do a part each, one puts them together, and nobody can tell
    assert job.state == JobState.SUCCEEDED
    assert [attempt.part for attempt in attempts[1:-1]] == [
        {"start": start, "stop": start + 7} for start in range(0, 21, 7)
    ]
    assert len(attempts[-1].parts or ()) == 3
    assert published(divided).model_dump(exclude={"shards"}) == whole.model_dump(exclude={"shards"})


def test_empty_archive_is_the_clients_fault(stores: Stores, tmp_path: Path) -> None:
    job, _ = preprocessed(stores, tmp_path, {})

    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "bad_archive"


def test_poisoned_part_fails_the_job_with_its_reason(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an archive that a part of the job cannot find any more
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "8")

    def forgetful(task: Task) -> Outcome:
        if task.part == {"start": 7, "stop": 14}:
            stores.of(DEFAULT_PROJECT).uploads.forget("upload-1")
        return preprocess(task)

    # when it runs
    job, attempts = preprocessed(stores, tmp_path, handler=forgetful)

    # then the job fails for that part's reason, the third part is never begun, and nothing is published
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("not_found", "part 2: there is no such upload")
    assert len(attempts) == 3
    assert stores.of(DEFAULT_PROJECT).datasets.list(10).items == ()
