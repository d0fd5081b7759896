"""/v1/jobs"""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from contract.base import NAME_PATTERN
from contract.jobs import Job, JobKind, JobRequest, JobState, PreprocessRequest
from contract.references import Reference
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Backends, Behind, Cursor, Limit
from services.gateway.examples import JOB_REQUESTS
from services.gateway.problems import documented
from services.gateway.request_id import current_request_id
from services.storage.jobs import JobFilter, JobPage

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_S = 0.25

JobId = Annotated[str, Path(max_length=64)]
NameQuery = Annotated[str | None, Query(pattern=NAME_PATTERN)]


@router.post("", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def submit(
    request: Annotated[JobRequest, Body(openapi_examples=JOB_REQUESTS)], response: Response, behind: Behind
) -> Job:
    """Accept a job. It is kept from here on, whatever dies."""
    job = behind.stores.jobs.create(pinned(request, behind), current_request_id())
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("", dependencies=MAY_READ, responses=documented())
def list_jobs(
    behind: Behind,
    kind: JobKind | None = None,
    state: JobState | None = None,
    model: NameQuery = None,
    dataset: NameQuery = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JobPage:
    """Jobs, newest first."""
    where = JobFilter(kind=kind, state=state, model=model, dataset=dataset)
    return behind.stores.jobs.list(where, limit, cursor)


@router.get("/{job_id}", dependencies=MAY_READ, responses=documented(404))
async def get_job(
    job_id: JobId,
    behind: Behind,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the job's end.")] = 0,
) -> Job:
    """A job; with `wait`, answers when it ends or after that many seconds."""
    until = time.monotonic() + wait
    while True:
        job = await run_in_threadpool(behind.stores.jobs.get, job_id)
        left = until - time.monotonic()
        if job.state.terminal or left <= 0:
            return job
        await asyncio.sleep(min(POLL_S, left))


@router.post("/{job_id}/cancel", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
def cancel_job(job_id: JobId, behind: Behind) -> Job:
    """Cancel a job: at once while it waits, within seconds while it runs."""
    return behind.stores.jobs.cancel(job_id)


def pinned(request: JobRequest, behind: Backends) -> JobRequest:
    """The request with what it refers to looked up, so that later versions change nothing for it.

    Raises NotFound for an unknown data set or upload, Conflict for an unfinished upload, BadModel for a layer list
    that cannot take the data set's pictures.
    """
    if isinstance(request, PreprocessRequest):
        behind.stores.uploads.ref(request.spec.source.upload)
        return request
    reference, manifest = behind.stores.datasets.manifest(Reference.parse(request.spec.dataset))
    request.spec.check_shape(manifest.image.shape)
    return request.model_copy(update={"spec": request.spec.model_copy(update={"dataset": str(reference)})})
