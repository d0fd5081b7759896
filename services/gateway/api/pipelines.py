"""/v1/pipelines: automatic retraining, and its runs."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example

from contract.kinds.evaluate import EvaluateRequest, EvaluateSpec
from contract.kinds.train import TrainRequest
from contract.pipelines import Pipeline, PipelineChange, PipelineRequest, PipelineRun
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Cursor, Limit, NamePath, StoresDep
from services.gateway.edge.problems import documented
from services.storage.people.pipelines import PipelinePage, RunPage
from services.storage.pinning import pinned
from services.storage.stores import ProjectStores

router = APIRouter(prefix="/v1/pipelines", tags=["pipelines"])

_EXAMPLES: dict[str, dict[str, Any]] = {
    "nightly": {
        "summary": "Retrain every night, and promote a model that is better by half a point",
        "value": {
            "name": "pets-nightly",
            "model": "pet-cnn",
            "dataset": "pets",
            "when": {"cron": "0 3 * * *"},
            "gate": {"better_by": 0.005, "no_class_falls_by": 0.05, "confidence": 0.95},
        },
    },
    "labels": {
        "summary": "Retrain after 200 reviewed images or when requests drift, for 20 minutes; a person promotes",
        "value": {
            "name": "pets-reviewed",
            "model": "pet-cnn",
            "dataset": "pets",
            "when": {"labels": 200, "drift": True},
            "train": {"budget": {"minutes": 20}},
            "promote": False,
        },
    },
}
EXAMPLES = {name: cast(Example, example) for name, example in _EXAMPLES.items()}


def require_runnable(request: PipelineRequest, stores: ProjectStores) -> None:
    """Raise what a run would fail with if it started now, such as NotFound for a model, or Invalid for a training."""
    evaluation = EvaluateSpec(model=f"{request.model}@{request.alias}", dataset=request.dataset)
    pinned(EvaluateRequest(kind="evaluate", spec=evaluation), stores)
    pinned(TrainRequest(kind="train", spec=request.training(request.dataset)), stores)


@router.post("", status_code=201, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def create_pipeline(
    request: Annotated[PipelineRequest, Body(openapi_examples=EXAMPLES)],
    response: Response,
    stores: StoresDep,
    repeat: CanRepeat,
) -> Pipeline:
    """Create a pipeline, whose runs retrain a model and promote the new version if it is shown to be better."""
    require_runnable(request, stores)
    created = stores.pipelines.create(request, repeat.once(request.model_dump_json()))
    response.headers["Location"] = f"/v1/pipelines/{created.name}"
    return created


@router.get("", dependencies=MAY_READ, responses=documented())
def list_pipelines(stores: StoresDep, limit: Limit = 50, cursor: Cursor = None) -> PipelinePage:
    """Pipelines, by name, each with its newest run."""
    return stores.pipelines.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_pipeline(name: NamePath, stores: StoresDep) -> Pipeline:
    """A pipeline with its newest run."""
    return stores.pipelines.get(name)


@router.patch("/{name}", dependencies=MAY_WRITE, responses=documented(404, 413, 415))
def change_pipeline(name: NamePath, change: PipelineChange, stores: StoresDep) -> Pipeline:
    """Pause or resume a pipeline; a run that has begun goes on."""
    return stores.pipelines.pause(name, change.paused)


@router.delete("/{name}", status_code=204, dependencies=MAY_WRITE, responses=documented(404))
def delete_pipeline(name: NamePath, stores: StoresDep) -> None:
    """Delete a pipeline with its runs, and cancel the job of a run that has not ended; versions stay."""
    stores.pipelines.delete(name)


@router.post("/{name}/runs", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
def start_run(name: NamePath, stores: StoresDep, repeat: CanRepeat) -> PipelineRun:
    """Start a run now, also of a paused pipeline."""
    return stores.pipelines.start(name, repeat.once())


@router.get("/{name}/runs", dependencies=MAY_READ, responses=documented(404))
def list_runs(name: NamePath, stores: StoresDep, limit: Limit = 50, cursor: Cursor = None) -> RunPage:
    """The runs of a pipeline, newest first."""
    return stores.pipelines.runs(name, limit, cursor)
