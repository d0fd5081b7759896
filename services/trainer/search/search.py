"""The handler of a search: it creates trials, waits for them, and publishes the best with the study of all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from contract.base import first_fault
from contract.choices import Choice
from contract.division import NewChild, Waiting
from contract.errors import Cancelled, Invalid
from contract.kinds.train import TrainSpec
from contract.kinds.trial import TrialOutcome, TrialSpec
from contract.search import Scalar, Search, Study
from contract.training import ModelManifest
from services.storage.jobs.children import ChildJob
from services.trainer.search.publishing import published
from services.trainer.search.selection import members_of
from services.trainer.search.study import Trial, best_trial, importance, maximizes, proposals, ranked, study_trial
from services.trainer.worker import load
from worker.task import Task

SHARE = 0.9  # of the job's progress, for the trials
PROPOSALS = 50  # in a row that are known: then probably all different trainings have been tried
HOPELESS = 4  # trials that fail before one succeeds end the search


def search(task: Task, spec: TrainSpec, settings: Search) -> Waiting | ModelManifest:
    """Create the next trials, wait for one to end, or publish the best.

    Raises Invalid if all trials have failed, and Cancelled if a person wants the best model and there is none yet.
    """
    children = task.children()
    trials = [Trial.of(child, settings.objective) for child in children]
    begins = task.job.started_at or datetime.now(UTC)
    ends = None if settings.minutes is None else begins + timedelta(minutes=settings.minutes)
    late = ends is not None and datetime.now(UTC) >= ends
    stopping = task.stop_early or late
    _require_hope(children, trials)
    opened = sum(trial.state == "open" for trial in trials)
    room = 0 if stopping else min(settings.parallel - opened, settings.trials - len(trials))
    new = _new_trials(task, spec, settings, children, trials, room)
    if not new and not opened:
        ended = "all different settings have been tried" if room > 0 else "all have ended"
        why = "the time was over" if late else "a person asked for the best model" if stopping else ended
        return _finished(task, spec, settings, children, trials, why)
    return Waiting(
        kind="trial",
        children=tuple(
            NewChild(
                number=number,
                spec=TrialSpec(
                    training=training,
                    study=task.job.id,
                    number=number,
                    parameters=parameters,
                    search=settings,
                    ends_at=ends,
                ).model_dump(mode="json"),
            )
            for number, (parameters, training) in enumerate(new, len(trials))
        ),
        seen=len(trials) - opened,
        fraction=SHARE * _progress(settings, len(trials) - opened, begins, ends),
        message=_message(settings, trials, len(trials) - opened),
        stopping=stopping,
    )


def _new_trials(
    task: Task, spec: TrainSpec, settings: Search, children: Sequence[ChildJob], trials: Sequence[Trial], room: int
) -> list[tuple[dict[str, Scalar], TrainSpec]]:
    """Return parameters and trainings of up to `room` trials, each of which differs from all others.

    Fewer if PROPOSALS in a row are of trainings that are known: lists of values are soon tried, and a probe has no use
    for a learning rate. Raises Invalid if parameters do not fit together.
    """
    known = [child.job.spec["training"] for child in children]
    new = list[tuple[dict[str, Scalar], TrainSpec]]()
    proposed, repeated = proposals(settings, task.job.id, spec.seed, trials), 0
    while len(new) < room and repeated < PROPOSALS:
        parameters = next(proposed)
        training = _training(spec, parameters)
        described = training.model_dump(mode="json")
        repeated = repeated + 1 if described in known else 0
        if not repeated:
            known.append(described)
            new.append((parameters, training))
    return new


def _training(spec: TrainSpec, parameters: dict[str, Scalar]) -> TrainSpec:
    """Return the training of a trial; raises Invalid if the parameters do not fit together."""
    try:
        return spec.with_parameters(parameters)
    except ValidationError as error:
        _, reason = first_fault(error)
        tried = ", ".join(f"{name} {value!r}" for name, value in parameters.items())
        raise Invalid(f"a trial cannot have {tried}: {reason}; change search.over") from None


def _require_hope(children: Sequence[ChildJob], trials: Sequence[Trial]) -> None:
    """Raise Invalid if the first trials have all failed, since others would probably fail, too."""
    if any(trial.value is not None for trial in trials):
        return
    failed = [child for child, trial in zip(children, trials, strict=True) if trial.state == "failed"]
    if len(failed) >= HOPELESS or (failed and all(child.ended for child in children)):
        error = failed[-1].job.error
        reason = error.message if error else "its job has ended"
        raise Invalid(f"{len(failed)} trials have failed and none has succeeded; trial {failed[-1].number}: {reason}")


def _finished(
    task: Task, spec: TrainSpec, settings: Search, children: Sequence[ChildJob], trials: Sequence[Trial], why: str
) -> ModelManifest:
    best = best_trial(trials, settings.objective)
    if best is None and task.stop_early:
        raise Cancelled("the search was asked to stop before a trial had ended")
    if best is None:
        raise Invalid(f"no trial has ended with a model: {why}; give the search more minutes, or a trial fewer epochs")
    training = TrialSpec.model_validate(children[best.number].job.spec).training
    outcome = _outcome_of(children[best.number])
    measured = sum(trial.value is not None for trial in trials)
    because = f"the best of {measured} trials by {settings.objective}, {best.value:.4g}"
    choices = tuple(Choice(what=name, value=value, because=because) for name, value in best.parameters.items())
    members: tuple[int, ...] = (best.number,)
    with load(task, training) as loaded:
        if settings.ensemble > 1:
            complete = [trial.number for trial in ranked(trials, settings.objective)]
            outcomes = {number: _outcome_of(children[number]) for number in complete}
            members, choice = members_of(task, loaded, settings, best.number, outcomes)
            choices = (choice, *choices)
        others = [_outcome_of(children[number]) for number in members[1:]]
        manifest = published(task, loaded, training, outcome, choices, others)
    study = Study(
        objective=settings.objective,
        maximize=maximizes(settings.objective),
        best=best.number,
        parameters=best.parameters,
        trials=tuple(study_trial(child, trial) for child, trial in zip(children, trials, strict=True)),
        members=members if others else (),
        importance=importance(settings, task.job.id, trials),
        ended=why,
    )
    return manifest.model_copy(update={"study": study})


def _outcome_of(child: ChildJob) -> TrialOutcome:
    return TrialOutcome.model_validate(child.job.result)


def _progress(settings: Search, over: int, begins: datetime, ends: datetime | None) -> float:
    """Return the share of the trials that have ended, or that of the time if it is more."""
    time = 0.0 if ends is None else (datetime.now(UTC) - begins) / (ends - begins)
    return min(max(over / settings.trials, time), 1.0)


def _message(settings: Search, trials: Sequence[Trial], over: int) -> str:
    best = best_trial(trials, settings.objective)
    record = "" if best is None else f" · best {settings.objective} {best.value:.4g}, of trial {best.number}"
    return f"{over} of {settings.trials} trials have ended{record}"
