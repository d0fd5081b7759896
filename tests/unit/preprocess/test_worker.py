"""A preprocessing job's upload becomes a manifest whose shards are stored."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Split
from contract.errors import BadArchive
from contract.jobs import Job, JobKind, JobState, PreprocessSpec, Progress
from contract.uploads import UploadSource
from runtime.task import Task
from services.preprocess.worker import preprocess
from services.storage.memory import MemoryObjects
from tests.pictures import class_folders, zipped


class OneUpload:
    """An upload by its identifier."""

    def __init__(self, ref: ObjectRef) -> None:
        self._refs = {ref.key: ref}

    def ref(self, upload_id: str) -> ObjectRef:
        return self._refs[upload_id]


class FolderTask:
    """A task whose stores are in memory."""

    def __init__(self, folder: Path, archive: bytes) -> None:
        now = datetime.now(UTC)
        spec = PreprocessSpec(dataset="pets", source=UploadSource(upload="upload-1"))
        self.job = Job(
            id="job-1",
            kind=JobKind.PREPROCESS,
            state=JobState.RUNNING,
            spec=spec.model_dump(mode="json"),
            progress=Progress(),
            priority=0,
            attempt=1,
            max_attempts=3,
            result=None,
            error=None,
            created_at=now,
            started_at=now,
            finished_at=None,
            deadline_at=None,
        )
        self.folder = folder
        self.objects = MemoryObjects()
        self.uploads = OneUpload(self.objects.put(Bucket.UPLOADS, "upload-1", archive))
        self.checkpoint = None
        self.reports: list[float] = []

    def report(self, fraction: float, message: str) -> None:
        self.reports.append(fraction)

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        return self.objects.put(Bucket.JOBS, f"job-1/attempts/1/{name}", source)


def test_upload_becomes_a_manifest(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "source.zip", class_folders() | {"cat/bad.png": b"text"})
    task = FolderTask(tmp_path, archive.read_bytes())

    manifest = preprocess(cast(Task, task))

    assert manifest.classes == ("cat", "dog")
    assert manifest.image.shape == (3, 32, 32)
    assert manifest.rejected == 1
    assert task.reports[-1] == 1.0
    for split in Split:
        (shard,) = manifest.shards[split]
        images = np.load(io.BytesIO(task.objects.read(shard.images)))
        labels = np.load(io.BytesIO(task.objects.read(shard.labels)))
        assert images.shape == (shard.count, 3, 32, 32)
        assert len(labels) == shard.count == getattr(manifest.counts, split)


def test_error_is_the_clients_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="not a zip file"):
        preprocess(cast(Task, FolderTask(tmp_path, b"text")))
