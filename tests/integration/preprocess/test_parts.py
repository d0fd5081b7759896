"""Replicas share the parts of one job, including a replica that joins in the middle."""

from collections import Counter
from pathlib import Path

from sqlalchemy import select

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import UploadSource
from services.storage.stores import Stores
from services.storage.tables import jobs
from tests.support.images import class_folders, zipped
from tests.support.replicas import Replicas

PARTS = 30
SMALL = {"TIDEPOOL_PART_IMAGES": "2"}


def test_a_replica_that_joins_claims_parts(replicas: Replicas, tmp_path: Path) -> None:
    # given a replica that prepares the first parts
    stores = replicas.stores
    archive = stores.objects.put(Bucket.UPLOADS, "upload-1", zipped(tmp_path / "pets.zip", class_folders(count=PARTS)))
    stores.of(DEFAULT_PROJECT).uploads.add("pets.zip", archive)
    replicas.start("preprocess", **SMALL)
    spec = PreprocessSpec(dataset="pets", source=UploadSource(upload="upload-1"))
    job = stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))
    replicas.until(lambda: parts_by_worker(stores).total() > 0)

    # when another replica joins
    replicas.start("preprocess", **SMALL)

    # then both have finished parts, each part ran once, and no image is missing
    replicas.until(lambda: stores.of(DEFAULT_PROJECT).jobs.get(job.id).state.terminal)
    finished = stores.of(DEFAULT_PROJECT).jobs.get(job.id)
    assert (finished.state, finished.attempt) == (JobState.SUCCEEDED, 1)
    assert finished.result is not None
    assert sum(finished.result["counts"].values()) == 2 * PARTS
    by_worker = parts_by_worker(stores)
    assert len(by_worker) == 2, by_worker
    assert by_worker.total() == PARTS


def parts_by_worker(stores: Stores) -> Counter[str]:
    """Count the finished parts of each worker."""
    query = select(jobs.c.worker).where(jobs.c.parent_id.is_not(None), jobs.c.state == JobState.SUCCEEDED)
    with stores.database.read() as connection:
        return Counter(connection.execute(query).scalars())
