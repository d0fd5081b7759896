"""Stores a file sent in a request as an upload, and accepts the job that processes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.datastructures import UploadFile

from contract.artifacts import Bucket, upload_key
from contract.catalog import Upload
from contract.errors import Overloaded, Refused
from contract.jobs import Job, JobRequest
from contract.references import UploadSource
from services.gateway.api.idempotency import CanRepeat, Repeatable
from services.gateway.dependencies import BackendsDep, StoresDep
from services.gateway.edge.request_id import current_request_id
from services.storage.catalog.uploads import new_upload_id
from services.storage.objects import Objects
from services.storage.stores import ProjectStores


@dataclass(frozen=True)
class Submission:
    """A request that uploads a file."""

    objects: Objects
    stores: ProjectStores
    repeat: Repeatable

    def submit(self, file: UploadFile, request_for: Callable[[UploadSource], JobRequest], content: str) -> Job:
        """Store the file and accept the job; `content` is the rest of the request, for its idempotency.

        A file that no job will use is deleted. Raises what Jobs.create raises.
        """
        ref = self.objects.put_stream(Bucket.UPLOADS, upload_key(new_upload_id()), file.file)
        upload = self.stores.uploads.add(file.filename or "file", ref)
        request = request_for(UploadSource(upload=upload.id))
        try:
            job = self.stores.jobs.create(request, current_request_id(), self.repeat.once(ref.sha256, content))
        except (Refused, Overloaded):  # after any other error the job may exist
            self._delete(upload)
            raise
        if job.spec != request.spec.model_dump(mode="json"):  # a repetition: the first request's job has its own file
            self._delete(upload)
        return job

    def _delete(self, upload: Upload) -> None:
        self.stores.uploads.forget(upload.id)
        self.objects.delete(Bucket.UPLOADS, upload_key(upload.id))


async def _submission(backends: BackendsDep, stores: StoresDep, repeat: CanRepeat) -> Submission:
    return Submission(backends.stores.objects, stores, repeat)


SubmissionDep = Annotated[Submission, Depends(_submission)]
