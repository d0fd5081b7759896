"""Real workers read and write in the project of their job (G12)."""

from pathlib import Path

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, upload_key
from contract.errors import NotFound
from contract.jobs import JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.projects import NewProjectRequest
from contract.references import Reference, UploadSource
from tests.support.images import class_folders, zipped
from tests.support.replicas import Replicas


def test_a_worker_publishes_in_its_jobs_project(replicas: Replicas, tmp_path: Path) -> None:
    # given an upload of a project, and a divided job of it
    stores = replicas.stores
    stores.projects.create(NewProjectRequest(name="lab"))
    archive = zipped(tmp_path / "pets.zip", class_folders(count=6))
    stores.of("lab").uploads.add("pets.zip", stores.objects.put(Bucket.UPLOADS, upload_key("upload-1", "lab"), archive))
    spec = PreprocessSpec(dataset="pets", source=UploadSource(upload="upload-1"))
    job = stores.of("lab").jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))

    # when a replica runs it
    replicas.start("preprocess", TIDEPOOL_PART_IMAGES="2")
    replicas.until(lambda: stores.of("lab").jobs.get(job.id).state.terminal)

    # then the project has the dataset, and its name is the start of the keys of the objects
    assert stores.of("lab").jobs.get(job.id).state is JobState.SUCCEEDED
    _, manifest = stores.of("lab").datasets.manifest(Reference(name="pets"))
    assert manifest.index is not None
    shards = [shard for of_split in manifest.shards.values() for shard in of_split]
    assert shards
    assert all(key.startswith("lab/") for key in [manifest.index.key, *(shard.images.key for shard in shards)])
    with pytest.raises(NotFound):
        stores.of(DEFAULT_PROJECT).datasets.named("pets")
