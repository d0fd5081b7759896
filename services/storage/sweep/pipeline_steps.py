"""The steps of a pipeline's run: each reads the result of the one before, and returns what to do next.

They change nothing themselves: `PipelineRunner` does what they return, in one transaction.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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
from services.storage.people.runs import newest_run
from services.storage.pinning import pinned
from services.storage.stores import ProjectStores
from services.storage.sweep.pipeline_signals import Signals

MOST_REPEATS = 3
MOST_NAMED = 3  # classes in a note
COMPARED = (RunState.REJECTED, RunState.PASSED, RunState.SUPERSEDED)  # runs whose candidate was not promoted
REPEATED = "the version was made again, since another one took some of the reviewed images meanwhile"


@dataclass(frozen=True)
class Move:
    """What comes next: columns of the run's row, a job for the step `step`, where the alias points, and new notes."""

    values: dict[str, Any]
    request: KindRequest | None = None
    traffic: Traffic | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """A run, its pipeline, and what steps read."""

    run: PipelineRun
    pipeline: PipelineRequest
    stores: ProjectStores
    signals: Signals
    now: datetime


def end(state: RunState, reason: str, traffic: Traffic | None = None, **values: Any) -> Move:
    return Move({"state": state, "reason": reason, **values}, traffic=traffic)


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
    return _train(context, values)


def revised(context: Context) -> Move | None:
    job = _job_of(context, context.run.revise_job)
    taken = job is not None and job.error is not None and job.error.code == Conflict.code
    if taken and context.run.notes.count(REPEATED) < MOST_REPEATS:
        return _noted(start(context), REPEATED)

    def train(result: dict[str, Any]) -> Move:
        move = _train(context, {"champion": str(context.run.champion), "dataset": str(result["dataset"])})
        return _noted(move, *_dropped(context, result))

    return _after(job, train)


def _noted(move: Move, *notes: str) -> Move:
    return replace(move, notes=(*notes, *move.notes))


def _dropped(context: Context, result: dict[str, Any]) -> Iterator[str]:
    """Yield a note if the new version has no image of some classes of its parent."""
    try:
        _, parent = context.stores.datasets.manifest(Reference.parse(str(context.run.dataset)))
    except NotFound:  # deleted meanwhile
        return
    dropped = sorted(set(parent.classes) - set(result["classes"]))
    if not dropped:
        return
    named = ", ".join(repr(label) for label in dropped[:MOST_NAMED]) + (
        " and others" if len(dropped) > MOST_NAMED else ""
    )
    yield f"the reviewed images leave no image of {named}, so {result['dataset']} is without it"


def trained(context: Context) -> Move | None:
    return _after(_job_of(context, context.run.train_job), lambda result: _evaluate(context, str(result["model"])))


def evaluated(context: Context) -> Move | None:
    return _after(_job_of(context, context.run.evaluate_job), lambda result: _decide(context, result))


def shadowed(context: Context) -> Move | None:
    """Promote the candidate when it has been the shadow for long enough."""
    run = context.run
    candidate = Reference.parse(str(run.candidate))
    if (why := context.stores.models.quarantined(candidate)) is not None:
        champion = Traffic(versions={_version(Reference.parse(str(run.champion))): 100})
        return end(RunState.REJECTED, f"{candidate} was quarantined while it was the shadow: {why}", champion)
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


def _train(context: Context, values: dict[str, Any]) -> Move:
    """Return the training on the dataset in `values`, which starts from the champion in them if it can."""
    champion, dataset = values["champion"], values["dataset"]
    if (reason := _nothing_new(context, champion, dataset)) is not None:
        return end(RunState.UNCHANGED, reason, **values)
    request, notes = _training(context, champion, dataset)
    begins = f", from {champion}" if request.spec.init_from == champion else ""
    reason = f"trains {context.pipeline.model} on {dataset}{begins}"
    return _noted(_job("train", request, reason, **values), *notes)


def _nothing_new(context: Context, champion: str, dataset: str) -> str | None:
    """Return why a training would learn nothing new; None if it may."""
    stores, pipeline = context.stores, context.pipeline
    with stores.database.read() as connection:
        earlier = newest_run(connection, stores.project, pipeline.name, COMPARED)
    if earlier is not None and (earlier["champion"], earlier["dataset"]) == (champion, dataset):
        return (
            f"there is nothing new to learn from: no reviewed images change {dataset}, on which an earlier run has "
            f"trained {earlier['candidate']}, which was not promoted"
        )
    _, manifest = stores.models.manifest(Reference.parse(champion))
    if manifest.dataset == dataset and not context.signals.drifts(stores.project, pipeline):
        return (
            f"there is nothing new to learn from: {champion} was trained on {dataset}, no reviewed images change that, "
            "and its requests do not drift"
        )
    return None


def _training(context: Context, champion: str, dataset: str) -> tuple[TrainRequest, tuple[str, ...]]:
    """Return the training that continues from the champion, or, with a note why, one that does not."""
    spec = context.pipeline.training(dataset)
    if not context.pipeline.continues:
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
    name = f"{pipeline.model}@{pipeline.alias}"
    if not decision.passed:
        move = end(RunState.REJECTED, decision.reason)
    elif not pipeline.promote:
        move = end(RunState.PASSED, f"{decision.reason}. A person decides whether {name} should point at it")
    elif pipeline.shadow_hours is None:
        move = _promote(candidate, decision.reason)
    else:
        until = context.now + timedelta(hours=pipeline.shadow_hours)
        reason = f"{candidate} is the shadow of {name} until {until:%Y-%m-%d %H:%M} UTC"
        champion = Reference.parse(str(run.champion))
        traffic = Traffic(versions={_version(champion): 100}, shadow=_version(candidate))
        move = Move({"step": "shadow", "shadow_until": until, "reason": reason}, traffic=traffic)
    values = {**move.values, "gate": decision.model_dump(mode="json")}
    return replace(move, values=values, notes=decision.notes)


def _promote(candidate: Reference, reason: str) -> Move:
    return end(RunState.PROMOTED, reason, Traffic(versions={_version(candidate): 100}))


def _after(job: Job | None, following: Callable[[dict[str, Any]], Move]) -> Move | None:
    """Return what follows a job that has succeeded, None while it is live, and the end of the run if it failed."""
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
