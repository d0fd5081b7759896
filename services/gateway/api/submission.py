"""Stores files sent in a request as uploads, and accepts the job that processes it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.artifacts import Bucket, upload_key
from contract.catalog import Upload
from contract.errors import Invalid, NotFound, Overloaded, Refused
from contract.jobs import Job, JobKind, JobRequest
from contract.references import UploadSource
from services.gateway.api.idempotency import CanRepeat, Repeatable
from services.gateway.dependencies import BackendsDep, StoresDep
from services.gateway.edge.forms import MULTIPART, media_type
from services.gateway.edge.request_id import current_request_id
from services.storage.catalog.uploads import new_upload_id
from services.storage.jobs.idempotency import USED, known_answer, repeated_answer
from services.storage.objects import CHUNK, Objects
from services.storage.stores import ProjectStores

FORM_BYTES = 1 << 20  # of a multipart body, besides its files and its JSON


@dataclass(frozen=True)
class Submission:
    """A request that uploads files; `size` is that of its multipart body if the client has announced it."""

    objects: Objects
    stores: ProjectStores
    repeat: Repeatable
    size: int | None

    async def admit(self, *kinds: JobKind, **names: str) -> None:
        """Refuse the request before its body is read, if that is possible; `names` are fields of the job's spec.

        The job will be of one of the kinds.

        Raises Overloaded if the queue is full, QuotaExceeded, and Invalid if the Idempotency-Key was used with another
        request. Only the body shows that a request is the same as the first one; its kind, names and size can show that
        it is not.
        """
        await run_in_threadpool(self._admit, kinds, names)

    def submit(self, file: UploadFile, request_for: Callable[..., JobRequest], content: str, *more: UploadFile) -> Job:
        """Store the files and accept the job; `content` is the rest of the request, for its idempotency.

        `request_for` gets the UploadSource of each file. Nothing is stored of a repetition, if the queue is full, or if
        it is over a quota. A file that no job will use is deleted. Raises what Jobs.create raises.
        """
        files = (file, *more)
        if (earlier := self._repeated(files, content)) is not None:
            return earlier
        self.stores.jobs.require_room()
        self.stores.uploads.require_room(sum(part.size or 0 for part in files))
        uploads: list[Upload] = []
        try:
            for part in files:
                uploads.append(self._store(part))
            request = request_for(*(UploadSource(upload=upload.id) for upload in uploads))
            digest = "".join(str(upload.sha256) for upload in uploads)
            job = self.stores.jobs.create(request, current_request_id(), self.repeat.once(digest, content))
        except (Refused, Overloaded):  # after any other error the job may exist
            self._delete(uploads)
            raise
        if job.spec != request.spec.model_dump(mode="json"):  # a simultaneous repetition, whose job has its own files
            self._delete(uploads)
        return job

    def _admit(self, kinds: tuple[JobKind, ...], names: dict[str, str]) -> None:
        earlier = self._known()
        if earlier is None:
            self.stores.jobs.require_room()
            self.stores.uploads.require_room(max(0, (self.size or 0) - FORM_BYTES))
            return
        spec = earlier.get("spec") if earlier.get("kind") in kinds else None
        if spec is None or any(spec.get(field) != name for field, name in names.items()) or not self._may_hold(spec):
            raise Invalid(USED)

    def _may_hold(self, spec: dict[str, Any]) -> bool:
        """Return whether the body, by its size, can have the files of an earlier job's spec."""
        if self.size is None:
            return True
        try:
            files = sum(self.stores.uploads.get(upload).size for upload in _uploads(spec))
        except NotFound:
            return True
        return files < self.size <= files + FORM_BYTES + 16 * len(json.dumps(spec))

    def _known(self) -> Any | None:
        """Return the answer to an earlier request with the same Idempotency-Key; None without one."""
        if self.repeat.key is None:
            return None
        return known_answer(self.stores.database, self.stores.project, self.repeat.owner, self.repeat.key)

    def _repeated(self, files: tuple[UploadFile, ...], content: str) -> Job | None:
        """Return the earlier job if the request is a repetition; raises Invalid if its key was used for another."""
        if self._known() is None:
            return None
        once = self.repeat.once("".join(map(_sha256, files)), content)
        earlier = None if once is None else repeated_answer(self.stores.database, once)
        return None if earlier is None else Job.model_validate(earlier)

    def _store(self, file: UploadFile) -> Upload:
        key = upload_key(new_upload_id(), self.stores.project)
        ref = self.objects.put_stream(Bucket.UPLOADS, key, file.file)
        try:
            return self.stores.uploads.add(file.filename or "file", ref)
        except Refused:  # over a quota with a simultaneous upload, or its name cannot be stored
            self.objects.delete(Bucket.UPLOADS, key)
            raise

    def _delete(self, uploads: list[Upload]) -> None:
        for upload in uploads:
            self.stores.uploads.forget(upload.id)
            self.objects.delete(Bucket.UPLOADS, upload_key(upload.id, self.stores.project))


def _uploads(spec: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of the uploads in a job's spec."""
    for value in spec.values():
        if isinstance(value, dict) and isinstance(value.get("upload"), str):
            yield value["upload"]


def _sha256(file: UploadFile) -> str:
    digest = hashlib.sha256()
    file.file.seek(0)
    while chunk := file.file.read(CHUNK):
        digest.update(chunk)
    file.file.seek(0)
    return digest.hexdigest()


async def _submission(request: Request, backends: BackendsDep, stores: StoresDep, repeat: CanRepeat) -> Submission:
    length = request.headers.get("content-length", "")
    multipart = media_type(request.headers.get("content-type", "")) == MULTIPART
    size = int(length) if multipart and length.isdecimal() else None
    return Submission(backends.stores.objects, stores, repeat, size)


SubmissionDep = Annotated[Submission, Depends(_submission)]
