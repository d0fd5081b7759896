"""Stores files sent in a request as uploads, and accepts the job that processes it."""

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
    """A request that uploads files."""

    objects: Objects
    stores: ProjectStores
    repeat: Repeatable

    def submit(self, file: UploadFile, request_for: Callable[..., JobRequest], content: str, *more: UploadFile) -> Job:
        """Store the files and accept the job; `content` is the rest of the request, for its idempotency.

        `request_for` gets the UploadSource of each file. A file that no job will use is deleted. Raises what
        Jobs.create raises.
        """
        uploads = [self._store(part) for part in (file, *more)]
        request = request_for(*(UploadSource(upload=upload.id) for upload in uploads))
        digest = "".join(str(upload.sha256) for upload in uploads)
        try:
            job = self.stores.jobs.create(request, current_request_id(), self.repeat.once(digest, content))
        except (Refused, Overloaded):  # after any other error the job may exist
            self._delete(uploads)
            raise
        if job.spec != request.spec.model_dump(mode="json"):  # a repetition: the first request's job has its own files
            self._delete(uploads)
        return job

    def _store(self, file: UploadFile) -> Upload:
        key = upload_key(new_upload_id(), self.stores.project)
        return self.stores.uploads.add(file.filename or "file", self.objects.put_stream(Bucket.UPLOADS, key, file.file))

    def _delete(self, uploads: list[Upload]) -> None:
        for upload in uploads:
            self.stores.uploads.forget(upload.id)
            self.objects.delete(Bucket.UPLOADS, upload_key(upload.id, self.stores.project))


async def _submission(backends: BackendsDep, stores: StoresDep, repeat: CanRepeat) -> Submission:
    return Submission(backends.stores.objects, stores, repeat)


SubmissionDep = Annotated[Submission, Depends(_submission)]
