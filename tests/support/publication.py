"""Publishes a dataset or model version as a worker does, and stores the upload that the examples name."""

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef, upload_key
from contract.division import Outcome
from contract.jobs import Job, JobRequest
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.stores import Stores
from tests.examples.base import UPLOAD_ID


def publish(stores: Stores, request: JobRequest, outcome: Outcome, project: str = DEFAULT_PROJECT) -> Job:
    """Create a job and finish it with an outcome; no other job of its kind may be queued."""
    stores.of(project).jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, outcome)


def add_upload(database: Database, upload_id: str = UPLOAD_ID, project: str = DEFAULT_PROJECT) -> None:
    """Add the row of an upload, whose object there is not."""
    file = ObjectRef(bucket=Bucket.UPLOADS, key=upload_key(upload_id, project), size=1, sha256="0" * 64)
    Uploads(database, project).add("pets.zip", file)
