"""/jobs: all jobs with filters in the address; one job with its progress, curves, log, and why it failed."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from contract.catalog import DatasetVersion
from contract.errors import Refused
from contract.jobs import JobKind, JobState
from contract.references import Reference
from contract.reviews import PredictionsRequest
from services.gateway.api.jobs import JobId
from services.gateway.console.pages import page, redirect
from services.gateway.console.trials import trials_of
from services.gateway.console.viewer import MAY_CHANGE, MAY_SEE, Viewer, ViewerDep
from services.gateway.edge.request_id import current_request_id
from services.storage.screens.jobs import JobQuery, JobScreens
from services.storage.screens.trials import TrialScreens

router = APIRouter(include_in_schema=False)

PAGE = 50
STATES = ("live", *JobState)


@router.get("/jobs", dependencies=MAY_SEE)
def list_jobs(
    request: Request,
    viewer: ViewerDep,
    kind: str = "",
    state: str = "",
    name: Annotated[str, Query(max_length=63)] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Jobs, newest first; a filter that does not exist matches all."""
    kinds = tuple(map(str, JobKind))
    chosen = {"kind": kind if kind in kinds else "", "state": state if state in STATES else "", "name": name.strip()}
    query = JobQuery(**{field: value or None for field, value in chosen.items()})
    rows, following = JobScreens(viewer.stores.database, viewer.caller.project).page(query, PAGE, cursor)
    return page(
        request,
        viewer,
        "jobs.html",
        screen="jobs",
        rows=rows,
        next=following,
        cursor=cursor,
        chosen=chosen,
        kinds=kinds,
        states=STATES,
    )


@router.get("/jobs/{job_id}", dependencies=MAY_SEE)
def show_job(request: Request, viewer: ViewerDep, job_id: JobId) -> Response:
    """One job."""
    details = JobScreens(viewer.stores.database, viewer.caller.project).details(job_id)
    result = details.result or {}
    children = TrialScreens(viewer.stores.database, viewer.caller.project).of(job_id)
    return page(
        request,
        viewer,
        "job.html",
        screen="jobs",
        job=details.row,
        details=details,
        trials=trials_of(details.spec, result, children),
        decisions=result.get("decisions") or (),
        dataset=_dataset(viewer, result) if details.row.kind in ("preprocess", "revise") else None,
        to_review=PredictionsRequest(source="predictions", job=job_id),
        points=json.dumps(details.metrics).replace("<", "\\u003c"),
        spec=json.dumps(_stated(details.spec), indent=2, ensure_ascii=False),
    )


@router.post("/jobs/{job_id}/cancel", dependencies=MAY_CHANGE)
def cancel(viewer: ViewerDep, job_id: JobId) -> Response:
    """Cancel a job."""
    viewer.stores.jobs.cancel(job_id)
    return redirect(f"/jobs/{job_id}", "The job is being cancelled.")


@router.post("/jobs/{job_id}/keep-best", dependencies=MAY_CHANGE)
def keep_best(viewer: ViewerDep, job_id: JobId) -> Response:
    """End a training with its best model so far."""
    viewer.stores.jobs.cancel(job_id, keep_best=True)
    return redirect(f"/jobs/{job_id}", "The training stops and keeps the best model so far.")


@router.post("/jobs/{job_id}/retry", dependencies=MAY_CHANGE)
def retry(viewer: ViewerDep, job_id: JobId) -> Response:
    """Submit a copy of a job that has ended without success."""
    job = viewer.stores.jobs.retry(job_id, current_request_id())
    return redirect(f"/jobs/{job.id}", "This new job has the same settings.")


def _dataset(viewer: Viewer, result: dict[str, Any]) -> DatasetVersion | None:
    """Return the version that an upload has made, None if there is none or it was deleted."""
    try:
        return viewer.stores.datasets.get(Reference.parse(result.get("dataset", "")))
    except Refused:
        return None


def _stated(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec that are not left open."""
    return {name: value for name, value in spec.items() if value is not None}
