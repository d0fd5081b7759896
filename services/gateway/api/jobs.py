"""/v1/jobs"""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from contract.base import NAME_PATTERN
from contract.datasets import DatasetManifest
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.kind import Manifests
from contract.references import Noun, Reference, references_in, with_references
from contract.training import ModelManifest
from services.gateway.api.examples import JOB_REQUESTS
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Backends, Behind, Cursor, Limit
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id
from services.storage.jobs.jobs import JobFilter, JobPage

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_S = 0.25

JobId = Annotated[str, Path(max_length=64)]
NameQuery = Annotated[str | None, Query(pattern=NAME_PATTERN)]


@router.post("", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def submit(
    request: Annotated[JobRequest, Body(openapi_examples=JOB_REQUESTS)],
    response: Response,
    behind: Behind,
    repeat: CanRepeat,
) -> Job:
    """Accept a job. It is kept from here on, whatever dies."""
    once = repeat.once(request.model_dump_json())
    return located(behind.jobs.create(pinned(request, behind), current_request_id(), once), response)


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
    return behind.jobs.list(where, limit, cursor)


@router.get("/{job_id}", dependencies=MAY_READ, responses=documented(404))
async def get_job(
    job_id: JobId,
    behind: Behind,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the job's end.")] = 0,
) -> Job:
    """A job; with `wait`, answers when it ends or after that many seconds."""
    until = time.monotonic() + wait
    while True:
        job = await run_in_threadpool(behind.jobs.get, job_id)
        left = until - time.monotonic()
        if job.state.terminal or left <= 0:
            return job
        await asyncio.sleep(min(POLL_S, left))


@router.post("/{job_id}/cancel", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
def cancel_job(job_id: JobId, behind: Behind) -> Job:
    """Cancel a job: at once while it waits, within seconds while it runs."""
    return behind.jobs.cancel(job_id)


@router.post("/{job_id}/retry", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
def retry_job(job_id: JobId, response: Response, behind: Behind, repeat: CanRepeat) -> Job:
    """Accept a job anew that has failed, was cancelled or has expired."""
    return located(behind.jobs.retry(job_id, current_request_id(), repeat.once()), response)


@router.get(
    "/{job_id}/output",
    status_code=307,
    response_class=RedirectResponse,
    dependencies=MAY_READ,
    responses=documented(404, 409),
)
def get_output(job_id: JobId, behind: Behind) -> str:
    """Redirect to a presigned URL of a batch prediction's file."""
    return behind.stores.objects.download_url(behind.jobs.output(job_id))


def located(job: Job, response: Response) -> Job:
    """The job, with its address in the answer's headers."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


def pinned(request: JobRequest, behind: Backends) -> JobRequest:
    """Look up what the request refers to and pin it to versions, so that later versions do not affect the job.

    Raises NotFound for an unknown data set, model or upload, Conflict for an incomplete upload, BadModel for a
    rejected version, and what the spec's `check` raises.
    """
    stores, pins = behind.stores, dict[tuple[Noun, str], str]()
    datasets, models = dict[str, DatasetManifest](), dict[str, ModelManifest]()
    for noun, text in references_in(request.spec):
        match noun:
            case "upload":
                stores.uploads.ref(text)
            case "dataset":
                reference, dataset = stores.datasets.manifest(Reference.parse(text))
                pins[noun, text], datasets[str(reference)] = str(reference), dataset
            case "model":
                reference, model = stores.models.manifest(Reference.parse(text))
                pins[noun, text], models[str(reference)] = str(reference), model
    spec = with_references(request.spec, pins)
    spec.check(Manifests(datasets, models))
    return request.model_copy(update={"spec": spec})
