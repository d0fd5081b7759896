"""/v1/jobs: submit, list, read, cancel and retry jobs."""

import asyncio
from contextlib import suppress
from typing import Annotated, cast

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.openapi.models import Example
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from contract.base import Frozen
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.registry import all_kinds
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import (
    MAY_READ,
    MAY_WRITE,
    BackendsDep,
    CallerDep,
    Cursor,
    Limit,
    NameQuery,
    RecheckDep,
    StoresDep,
)
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id
from services.storage.jobs.jobs import JobFilter, JobPage
from services.storage.pinning import pinned

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

EXAMPLES = {name: cast(Example, example) for kind in all_kinds() for name, example in kind.examples.items()}

JobId = Annotated[str, Path(max_length=64)]


class CancelRequest(Frozen):
    """With `keep_best`, a training that has finished an epoch ends as succeeded, with its best model so far."""

    keep_best: Annotated[bool, Field(strict=True)] = False


@router.post("", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def submit(
    request: Annotated[JobRequest, Body(openapi_examples=EXAMPLES)],
    response: Response,
    stores: StoresDep,
    repeat: CanRepeat,
) -> Job:
    """Submit a job; it is stored durably before the response is sent."""
    once = repeat.once(request.model_dump_json())
    return located(stores.jobs.create(pinned(request, stores), current_request_id(), once), response)


@router.get("", dependencies=MAY_READ, responses=documented())
def list_jobs(
    stores: StoresDep,
    kind: JobKind | None = None,
    state: JobState | None = None,
    model: NameQuery = None,
    dataset: NameQuery = None,
    parent: Annotated[
        str | None, Query(max_length=64, description="The children of this job, in place of others.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JobPage:
    """Jobs, newest first; those that other jobs have created are listed by their `parent` only."""
    where = JobFilter(kind=kind, state=state, model=model, dataset=dataset, parent=parent)
    return stores.jobs.list(where, limit, cursor)


@router.get("/{job_id}", dependencies=MAY_READ, responses=documented(404, 429))
async def get_job(
    job_id: JobId,
    backends: BackendsDep,
    caller: CallerDep,
    stores: StoresDep,
    recheck: RecheckDep,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the job's end.")] = 0,
) -> Job:
    """A job; with `wait`, the response is sent when the job ends, or after that many seconds."""
    watches = backends.watches
    if not wait:
        return await run_in_threadpool(stores.jobs.get, job_id)
    with watches.stream(caller.key_id), suppress(TimeoutError):
        async with asyncio.timeout(wait), watches.follow(stores, job_id) as watched:
            while not watched.ended:
                await watched.tick()
                await recheck()
            if watched.job.state.terminal:
                return watched.job
    return await watches.read(stores.jobs.get, job_id)


@router.delete("/{job_id}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_job(job_id: JobId, stores: StoresDep) -> None:
    """Delete a job that has ended and whose version, if it made one, was deleted; with its output and events."""
    stores.jobs.delete(job_id)


@router.delete("/{job_id}/output", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_output(job_id: JobId, stores: StoresDep) -> None:
    """Delete the file of a batch prediction or evaluation, and keep the job with its result."""
    stores.jobs.delete_output(job_id)


@router.post("/{job_id}/cancel", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def cancel_job(job_id: JobId, stores: StoresDep, request: CancelRequest | None = None) -> Job:
    """Cancel a job: at once while it waits, within seconds while it runs."""
    return stores.jobs.cancel(job_id, keep_best=request is not None and request.keep_best)


@router.post("/{job_id}/retry", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
def retry_job(job_id: JobId, response: Response, stores: StoresDep, repeat: CanRepeat) -> Job:
    """Submit a copy of a job that has failed, was cancelled or has expired."""
    return located(stores.jobs.retry(job_id, current_request_id(), repeat.once()), response)


@router.get(
    "/{job_id}/output",
    status_code=307,
    response_class=RedirectResponse,
    dependencies=MAY_READ,
    responses=documented(404, 409),
)
def get_output(job_id: JobId, backends: BackendsDep, stores: StoresDep) -> str:
    """Redirect to a presigned URL of the file of a batch prediction or evaluation."""
    return backends.stores.objects.download_url(stores.jobs.output(job_id))


def located(job: Job, response: Response) -> Job:
    """Set the response's Location header to the job; return the job."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job
