"""The study of a search, by Optuna: what to try next, which trials to end early, which parameters matter.

A study is made anew from the rows of its trials whenever it is needed, so the jobs are its storage.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from contract.jobs import JobState
from contract.search import WHOLE_FIELDS, Objective, Range, Scalar, Search, StudyTrial, TrialState
from services.storage.jobs.children import ChildJob

FEWEST_RANDOM, MOST_RANDOM = 4, 10  # trials before TPE uses what others have shown: a third of all, within these
ETA = 3  # Hyperband keeps one trial of three
SHORTEST = 20  # no trial ends before a twentieth of its epochs

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Trial:
    """A trial as far as it has come; `values` are those of the objective after each epoch, by validation."""

    number: int
    parameters: dict[str, Scalar]
    state: TrialState
    values: tuple[float, ...] = ()
    value: float | None = None

    @classmethod
    def of(cls, child: ChildJob, objective: Objective) -> Self:
        metric = "val_loss" if objective == "val.loss" else "val_accuracy"
        values = tuple(float(epoch[metric]) for epoch in child.metrics if epoch.get(metric) is not None)
        value = (child.job.result or {}).get("value")
        return cls(child.number, child.job.spec["parameters"], state_of(child), values, value)


def state_of(child: ChildJob) -> TrialState:
    job = child.job
    if job.state is JobState.SUCCEEDED and job.result is not None:
        return "pruned" if job.result["pruned"] else "complete"
    if job.state is JobState.CANCELLED:
        return "cancelled"
    return "failed" if job.state.terminal else "open"


def study_trial(child: ChildJob, trial: Trial) -> StudyTrial:
    """Return the row of a trial in the table of its study."""
    job = child.job
    times = (job.started_at, job.finished_at)
    return StudyTrial(
        number=trial.number,
        job=job.id,
        state=trial.state,
        parameters=trial.parameters,
        value=trial.value,
        epochs=len((job.result or {}).get("epochs") or child.metrics),
        seconds=None if times[0] is None or times[1] is None else round((times[1] - times[0]).total_seconds(), 1),
        error=job.error.message if job.error and trial.state == "failed" else None,
    )


def maximizes(objective: Objective) -> bool:
    return objective != "val.loss"


def best_trial(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the complete trial with the best value, or else a pruned one; the first of equal ones."""
    return next(iter(ranked(trials, objective) or ranked(trials, objective, "pruned")), None)


def ranked(trials: Sequence[Trial], objective: Objective, state: TrialState = "complete") -> list[Trial]:
    """Return the trials in a state that have a value, the best first; equal ones in their order."""
    sign = -1 if maximizes(objective) else 1
    rated = [(sign * trial.value, trial) for trial in trials if trial.state == state and trial.value is not None]
    return [trial for _, trial in sorted(rated, key=lambda pair: (pair[0], pair[1].number))]


def proposals(search: Search, name: str, seed: int, trials: Sequence[Trial]) -> Iterator[dict[str, Scalar]]:
    """Yield the parameters of the next trials, without end; the same for the same trials."""
    study = _study(search, name, seed, trials, optuna.pruners.NopPruner())
    space = distributions(search)
    while True:
        yield study.ask(fixed_distributions=space).params


def prunes(search: Search, name: str, trials: Sequence[Trial], number: int, epochs: int) -> bool:
    """Return whether to end a trial of `epochs` epochs now: others were better after the same share of theirs."""
    pruner: optuna.pruners.BasePruner
    shortest = max(1, epochs // SHORTEST)
    if search.early_stop == "none":
        return False
    if search.early_stop == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=FEWEST_RANDOM, n_warmup_steps=shortest + 1)
    else:
        pruner = optuna.pruners.HyperbandPruner(min_resource=shortest, max_resource=epochs, reduction_factor=ETA)
    study = optuna.create_study(study_name=name, direction=_direction(search), pruner=pruner)
    space = distributions(search)
    running = {}
    for trial in trials:
        study.enqueue_trial(dict(trial.parameters))
        running[trial.number] = study.ask(fixed_distributions=space)
    epoch_now = next(len(trial.values) for trial in trials if trial.number == number)
    # Other epochs of the others change no answer: Hyperband keeps what each trial had at its rungs, when it is asked.
    rungs = {shortest * ETA**rung for rung in range(epochs.bit_length())} if search.early_stop == "hyperband" else set()
    for trial in sorted(trials, key=lambda trial: trial.number == number):  # this one last
        for epoch, value in _by_share(trial, epochs, epoch_now):
            if trial.number == number or epoch == epoch_now or epoch in rungs:
                running[trial.number].report(value, epoch)
            if epoch in rungs and (trial.number, epoch) != (number, epoch_now):  # an answer counts once
                running[trial.number].should_prune()
        if trial.number != number and trial.state != "open":
            _tell(study, running[trial.number], trial)
    return running[number].should_prune()


def _by_share(trial: Trial, epochs: int, last: int) -> Iterator[tuple[int, float]]:
    """Yield each epoch up to `last`, and what a trial had reached by the share of its training that it is of `epochs`.

    A learning rate that follows a schedule is as far down after the same share, not after as many epochs.
    """
    own = int(trial.parameters.get("epochs", epochs))
    for epoch in range(1, last + 1):
        if 1 <= (same := epoch * own // epochs) <= len(trial.values):
            yield epoch, trial.values[same - 1]


def importance(search: Search, name: str, trials: Sequence[Trial]) -> dict[str, float]:
    """Return the share of each parameter in how much the objective varies; empty if that cannot be told."""
    values = {trial.value for trial in trials if trial.state == "complete"}
    if len(values) < 2:
        return {}
    study = _study(search, name, 0, trials, optuna.pruners.NopPruner())
    return {name: round(float(share), 4) for name, share in optuna.importance.get_param_importances(study).items()}


def distributions(search: Search) -> dict[str, BaseDistribution]:
    return {name: _distribution(name, values) for name, values in search.over.items()}


def _distribution(name: str, values: Range | tuple[Scalar, ...]) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution(values)
    if name in WHOLE_FIELDS:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _study(
    search: Search, name: str, seed: int, trials: Sequence[Trial], pruner: optuna.pruners.BasePruner
) -> optuna.Study:
    sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed + len(trials))
    if search.sampler == "tpe":
        random = min(max(search.trials // 3, FEWEST_RANDOM), MOST_RANDOM)
        sampler = optuna.samplers.TPESampler(seed=seed + len(trials), n_startup_trials=random, constant_liar=True)
    study = optuna.create_study(study_name=name, direction=_direction(search), sampler=sampler, pruner=pruner)
    space = distributions(search)
    for trial in trials:
        study.enqueue_trial(dict(trial.parameters))
        running = study.ask(fixed_distributions=space)
        for epoch, value in enumerate(trial.values, 1):
            running.report(value, epoch)
        if trial.state != "open":
            _tell(study, running, trial)
    return study


def _tell(study: optuna.Study, running: optuna.trial.Trial, trial: Trial) -> None:
    if trial.state == "complete" and trial.value is not None:
        study.tell(running, trial.value)
    else:
        study.tell(running, state=OptunaState.PRUNED if trial.state == "pruned" else OptunaState.FAIL)


def _direction(search: Search) -> StudyDirection:
    return StudyDirection.MAXIMIZE if maximizes(search.objective) else StudyDirection.MINIMIZE
