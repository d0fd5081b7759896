"""The only place that turns a file in a request into an upload and the job that works on it."""

from collections.abc import Callable

from starlette.datastructures import UploadFile

from contract.artifacts import Bucket, upload_key
from contract.catalog import Upload
from contract.errors import Overloaded, Refused
from contract.jobs import Job, JobRequest
from contract.uploads import UploadSource
from services.gateway.api.idempotency import Repeatable
from services.gateway.dependencies import Backends
from services.gateway.edge.request_id import current_request_id
from services.storage.catalog.uploads import new_upload_id


def submitted(
    file: UploadFile, wanted: Callable[[UploadSource], JobRequest], said: str, behind: Backends, repeat: Repeatable
) -> Job:
    """Keep the file and accept the job that is `wanted` of it; `said` is what the request says besides.

    A file that no job will use is not kept. Raises what Jobs.create raises.
    """
    ref = behind.stores.objects.put_stream(Bucket.UPLOADS, upload_key(new_upload_id()), file.file)
    upload = behind.stores.uploads.add(file.filename or "file", ref)
    request = wanted(UploadSource(upload=upload.id))
    try:
        job = behind.jobs.create(request, current_request_id(), repeat.once(ref.sha256, said))
    except (Refused, Overloaded):  # after any other error the job may be there
        _forget(upload, behind)
        raise
    if job.spec != request.spec.model_dump(mode="json"):  # the answer to an earlier request, which brought its own file
        _forget(upload, behind)
    return job


def _forget(upload: Upload, behind: Backends) -> None:
    behind.stores.uploads.forget(upload.id)
    behind.stores.objects.delete(Bucket.UPLOADS, upload_key(upload.id))
