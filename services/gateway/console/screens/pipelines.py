"""/pipelines: automatic retraining, its runs, and why a candidate was promoted or not."""

import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.base import first_fault
from contract.errors import Invalid, Refused
from contract.pipelines import MOST_LABELS, Gate, PipelineRequest, RunState
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.viewer import MAY_CHANGE, MAY_SEE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath
from services.storage.screens.retraining import RetrainingScreen, Target

router = APIRouter(prefix="/pipelines", include_in_schema=False)

PAGE = 50
RUNS = 20
TONES = {
    RunState.RUNNING: "tide",
    RunState.PROMOTED: "good",
    RunState.PASSED: "warn",
    RunState.REJECTED: "",
    RunState.UNCHANGED: "",
    RunState.SUPERSEDED: "",
    RunState.FAILED: "bad",
}
TRIGGERS = {"cron": "its schedule", "labels": "new labels", "drift": "drift", "person": "a person"}
DEFAULTS = {
    "labels": "200",
    "better_by": f"{Gate().better_by * 100:g}",
    "falls_by": f"{Gate().no_class_falls_by * 100:g}",
    "confidence": f"{Gate().confidence * 100:g}",
    "promote": "yes",
}


@router.get("", dependencies=MAY_SEE)
def list_pipelines(request: Request, viewer: ViewerDep) -> Response:
    """Pipelines with their newest runs, and the form of a new one."""
    return _list(request, viewer, {})


@router.post("", dependencies=MAY_CHANGE)
async def create(request: Request, viewer: ViewerDep) -> Response:
    """Create a pipeline; a form with a fault is shown again."""
    form = await form_of(request)
    return await run_in_threadpool(_create, request, viewer, form)


@router.get("/{name}", dependencies=MAY_SEE)
def show(
    request: Request, viewer: ViewerDep, name: NamePath, cursor: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """A pipeline and its runs."""
    pipelines = viewer.stores.pipelines
    runs = pipelines.runs(name, RUNS, cursor or None)
    return page(
        request,
        viewer,
        "pipeline.html",
        screen="pipelines",
        pipeline=pipelines.get(name),
        runs=runs.items,
        next=runs.next,
        tones=TONES,
        triggers=TRIGGERS,
    )


@router.post("/{name}/runs", dependencies=MAY_CHANGE)
def run_now(viewer: ViewerDep, name: NamePath) -> Response:
    """Start a run."""
    viewer.stores.pipelines.start(name)
    return redirect(f"/pipelines/{name}", "A run has started. Its steps show up here.")


@router.post("/{name}/pause", dependencies=MAY_CHANGE)
def pause(viewer: ViewerDep, name: NamePath, paused: Annotated[bool, Form()]) -> Response:
    """Let a pipeline start no runs by itself, or let it again."""
    viewer.stores.pipelines.pause(name, paused)
    notice = "no longer starts runs by itself" if paused else "starts runs by itself again"
    return redirect(f"/pipelines/{name}", f"{name} {notice}.")


@router.post("/{name}/delete", dependencies=MAY_CHANGE)
def delete(viewer: ViewerDep, name: NamePath) -> Response:
    """Delete a pipeline and its list of runs; what they made stays."""
    viewer.stores.pipelines.delete(name)
    return redirect("/pipelines", f"The pipeline {name} was deleted. The versions that it made stay.")


def _create(request: Request, viewer: Viewer, form: Mapping[str, str]) -> Response:
    targets = {str(target): target for target in _targets(viewer)}
    target = targets.get(form.get("target", ""))
    if target is None:
        return _list(request, viewer, form, "choose an alias that serves a model trained here")
    try:
        created = viewer.stores.pipelines.create(pipeline_of(form, target))
    except ValidationError as error:
        place, reason = first_fault(error)
        name = " ".join(map(str, place)).replace("_", " ")
        return _list(request, viewer, form, f"{name}: {reason}" if name else reason)
    except Refused as error:
        return _list(request, viewer, form, error.message)
    return redirect(f"/pipelines/{created.name}", f"The pipeline {created.name} is ready.")


def pipeline_of(form: Mapping[str, str], target: Target) -> PipelineRequest:
    """Return the pipeline of a form, whose shares are percentages; raises ValidationError, or Invalid."""
    labels, shadow = form.get("labels", "").strip(), form.get("shadow_hours", "").strip()
    return PipelineRequest.model_validate(
        {
            "name": form.get("name", "").strip() or f"{target.model[:40]}-retraining",
            "model": target.model,
            "alias": target.alias,
            "dataset": target.dataset,
            "when": {
                "cron": form.get("cron", "").strip() or None,
                "labels": int(_number(labels, "new labels")) if labels else None,
                "drift": "drift" in form,
            },
            "gate": {
                "better_by": _number(form.get("better_by", ""), "better by") / 100,
                "no_class_falls_by": _number(form.get("falls_by", ""), "no class falls by") / 100,
                "confidence": _number(form.get("confidence", ""), "confidence") / 100,
            },
            "promote": "promote" in form,
            "shadow_hours": _number(shadow, "hours as a shadow") if shadow else None,
        }
    )


def _number(text: str, name: str) -> float:
    try:
        number = float(text.strip())
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(f"{name} must be a number")
    return number


def _targets(viewer: Viewer) -> tuple[Target, ...]:
    return RetrainingScreen(viewer.stores.database, viewer.caller.project).targets()


def _list(request: Request, viewer: Viewer, form: Mapping[str, str], problem: str = "") -> Response:
    return page(
        request,
        viewer,
        "pipelines.html",
        screen="pipelines",
        status=422 if problem else 200,
        pipelines=viewer.stores.pipelines.list(PAGE).items,
        targets=_targets(viewer),
        values=form or DEFAULTS,
        most_labels=MOST_LABELS,
        problem=problem,
        tones=TONES,
        triggers=TRIGGERS,
    )
