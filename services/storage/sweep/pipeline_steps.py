"""The steps of a pipeline's run: each reads what the one before has made, and says what is next.

They change nothing. `PipelineRunner` does what they return, in one transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from contract.catalog import Traffic
from contract.errors import Conflict, Invalid, NotFound
from contract.jobs import Job, JobState
from contract.kinds.evaluate import EvaluateRequest, EvaluateResult, EvaluateSpec
from contract.kinds.kind import KindRequest
from contract.kinds.revise import ReviseRequest, ReviseSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.pipelines import PipelineRequest, PipelineRun, RunState, Step
from contract.references import Reference
from services.storage.people.candidates import champion_of
from services.storage.people.gate import decide
from services.storage.pinning import pinned
from services.storage.stores import ProjectStores
from services.storage.sweep.pipeline_signals import Signals

MOST_REPEATS = 3
MOST_NAMED = 3  # classes in a note
REPEATED = "the version was made again, since another one took some of the reviewed images meanwhile"


@dataclass(frozen=True)
class Move:
    """What comes next: columns of the run's row, a job for the step `step`, and where the alias points."""

    values: dict[str, Any]
    request: KindRequest | None = None
    traffic: Traffic | None = None


@dataclass(frozen=True)
class Context:
    """A run, its pipeline, the stores of its project, and the run before it that trained a candidate."""

    run: PipelineRun
    pipeline: PipelineRequest
    stores: ProjectStores
    signals: Signals
    earlier: PipelineRun | None = None
    now: datetime = field(kw_only=True)


def end(state: RunState, reason: str, **values: Any) -> Move:
    return Move({"state": state, "reason": reason, **values})


def start(context: Context) -> Move:
    """Find the champion and what there is to learn from, and make the next version of the dataset."""
    pipeline, stores = context.pipeline, context.stores
    with stores.database.read() as connection:
        champion = champion_of(connection, stores.project, pipeline)
    parent, _ = stores.datasets.manifest(Reference(name=pipeline.dataset))
    # Before hours of training: the champion must be able to judge the test images.
    pinned(_evaluation(str(champion), str(parent)), stores)
    labels = context.signals.labels(stores.project, pipeline.dataset)
    values = {"champion": str(champion), "dataset": str(parent), "labels": labels}
    if labels:
        spec = ReviseSpec(dataset=pipeline.dataset, parent=str(parent), reviews="all", empty_classes="drop")
        reason = f"makes the next version of {parent} from {labels:,} reviewed {'image' if labels == 1 else 'images'}"
        return _job("revise", pinned(ReviseRequest(kind="revise", spec=spec), stores), reason, **values)
    return _train(context, str(champion), str(parent), values)


def revised(context: Context) -> Move | None:
    job = _job_of(context, context.run.revise_job)
    if job is not None and job.error is not None and job.error.code == Conflict.code and _may_repeat(context.run):
        context = _noted(context, REPEATED)
        move = start(context)
        return replace(move, values={"notes": list(context.run.notes), **move.values})
    return _after(
        job, lambda result: _train(_with_dropped(context, result), str(context.run.champion), str(result["dataset"]))
    )


def _may_repeat(run: PipelineRun) -> bool:
    return run.notes.count(REPEATED) < MOST_REPEATS


def _noted(context: Context, note: str) -> Context:
    return replace(context, run=context.run.model_copy(update={"notes": (*context.run.notes, note)}))


def _with_dropped(context: Context, result: dict[str, Any]) -> Context:
    """Note the classes that the new version has no image of any more."""
    try:
        _, parent = context.stores.datasets.manifest(Reference.parse(str(context.run.dataset)))
    except NotFound:  # deleted meanwhile
        return context
    dropped = sorted(set(parent.classes) - set(result["classes"]))
    if not dropped:
        return context
    named = ", ".join(repr(label) for label in dropped[:MOST_NAMED]) + (
        " and others" if len(dropped) > MOST_NAMED else ""
    )
    return _noted(context, f"the reviewed images leave no image of {named}, so {result['dataset']} is without it")


def trained(context: Context) -> Move | None:
    return _after(_job_of(context, context.run.train_job), lambda result: _evaluate(context, str(result["model"])))


def evaluated(context: Context) -> Move | None:
    return _after(_job_of(context, context.run.evaluate_job), lambda result: _decide(context, result))


def shadowed(context: Context) -> Move | None:
    """Promote the candidate when it has been the shadow for long enough."""
    run = context.run
    candidate = Reference.parse(str(run.candidate))
    if (why := context.stores.models.quarantined(candidate)) is not None:
        move = end(RunState.REJECTED, f"{candidate} was quarantined while it was the shadow: {why}")
        champion = Reference.parse(str(run.champion))
        return Move(move.values, traffic=Traffic(versions={_version(champion): 100}))
    if run.shadow_until is not None and context.now < run.shadow_until:
        return None
    return _promote(candidate, "" if run.gate is None else run.gate.reason)


STEPS: Mapping[Step, Callable[[Context], Move | None]] = {
    "start": start,
    "revise": revised,
    "train": trained,
    "evaluate": evaluated,
    "shadow": shadowed,
}


def _train(context: Context, champion: str, dataset: str, more: dict[str, Any] | None = None) -> Move:
    values = {**(more or {}), "dataset": dataset}
    if (reason := _nothing_new(context, champion, dataset)) is not None:
        return end(RunState.UNCHANGED, reason, **values, notes=list(context.run.notes))
    request, notes = _training(context, champion, dataset)
    begins = f", from {champion}" if request.spec.init_from == champion else ""
    reason = f"trains {context.pipeline.model} on {dataset}{begins}"
    return _job("train", request, reason, **values, notes=[*context.run.notes, *notes])


def _nothing_new(context: Context, champion: str, dataset: str) -> str | None:
    """Return why a training would learn nothing new; None if it may."""
    earlier, pipeline = context.earlier, context.pipeline
    if earlier is not None and (earlier.champion, earlier.dataset) == (champion, dataset):
        return (
            f"there is nothing new to learn from: no reviewed images change {dataset}, on which an earlier run has "
            f"trained {earlier.candidate}, which was not promoted"
        )
    _, manifest = context.stores.models.manifest(Reference.parse(champion))
    if manifest.dataset == dataset and not context.signals.drifts(context.stores.project, pipeline):
        return (
            f"there is nothing new to learn from: {champion} was trained on {dataset}, no reviewed images change that, "
            "and its requests do not drift"
        )
    return None


def _training(context: Context, champion: str, dataset: str) -> tuple[TrainRequest, tuple[str, ...]]:
    """Return the training that continues from the champion, or one without a start and a note why."""
    spec = context.pipeline.training(dataset)
    if spec.init_from is not None or spec.architecture is not None or spec.method == "scratch":
        return _pinned_training(context, spec), ()
    try:
        return _pinned_training(context, context.pipeline.training(dataset, init_from=champion)), ()
    except (Invalid, ValidationError) as error:
        why = error.message if isinstance(error, Invalid) else "the fields of train do not permit it"
        return _pinned_training(context, spec), (f"the training does not continue from the champion: {why}",)


def _pinned_training(context: Context, spec: TrainSpec) -> TrainRequest:
    request = pinned(TrainRequest(kind="train", spec=spec), context.stores)
    assert isinstance(request, TrainRequest)  # noqa: S101
    return request


def _evaluate(context: Context, candidate: str) -> Move:
    run = context.run
    request = pinned(_evaluation(candidate, str(run.dataset), run.champion), context.stores)
    reason = f"compares {candidate} with {run.champion} on the test images of {run.dataset}"
    return _job("evaluate", request, reason, candidate=candidate)


def _decide(context: Context, result: dict[str, Any]) -> Move:
    run, pipeline = context.run, context.pipeline
    decision = decide(EvaluateResult.model_validate(result), pipeline.gate)
    candidate = Reference.parse(str(run.candidate))
    values: dict[str, Any] = {"gate": decision.model_dump(mode="json"), "notes": [*run.notes, *decision.notes]}
    if not decision.passed:
        return end(RunState.REJECTED, decision.reason, **values)
    if not pipeline.promote:
        name = f"{pipeline.model}@{pipeline.alias}"
        return end(RunState.PASSED, f"{decision.reason}. A person decides whether {name} is to point at it", **values)
    if pipeline.shadow_hours is None:
        move = _promote(candidate, decision.reason)
        return Move(move.values | values, traffic=move.traffic)
    until, name = context.now + timedelta(hours=pipeline.shadow_hours), f"{pipeline.model}@{pipeline.alias}"
    values |= {"step": "shadow", "shadow_until": until}
    values["reason"] = f"{candidate} is the shadow of {name} until {until:%Y-%m-%d %H:%M} UTC"
    champion = Reference.parse(str(run.champion))
    traffic = Traffic(versions={_version(champion): 100}, shadow=_version(candidate))
    return Move(values, traffic=traffic)


def _promote(candidate: Reference, reason: str) -> Move:
    move = end(RunState.PROMOTED, reason)
    return Move(move.values, traffic=Traffic(versions={_version(candidate): 100}))


def _after(job: Job | None, following: Callable[[dict[str, Any]], Move]) -> Move | None:
    """Return what follows a job that has succeeded, None while it is live, or else the end of the run."""
    if job is None:
        return end(RunState.FAILED, "the job of this step was deleted")
    if job.state is JobState.SUCCEEDED:
        return following(job.result or {})
    if not job.state.terminal:
        return None
    why = job.error.message if job.error else f"it was {job.state}" if job.state is JobState.CANCELLED else "it expired"
    return end(RunState.FAILED, f"the {job.kind} job {job.id} did not succeed: {why}")


def _job_of(context: Context, job_id: str | None) -> Job | None:
    try:
        return context.stores.jobs.get(str(job_id))
    except NotFound:
        return None


def _job(step: Step, request: KindRequest, reason: str, **values: Any) -> Move:
    return Move({"step": step, "reason": reason, **values}, request)


def _evaluation(model: str, dataset: str, champion: str | None = None) -> EvaluateRequest:
    return EvaluateRequest(kind="evaluate", spec=EvaluateSpec(model=model, dataset=dataset, compare_with=champion))


def _version(reference: Reference) -> int:
    assert reference.version is not None  # noqa: S101  references of runs are pinned
    return reference.version
