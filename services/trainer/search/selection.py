"""Which trials of a search answer together: greedy forward selection on the validation images.

Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004; a trial is chosen at most once.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from contract.choices import Choice
from contract.kinds.trial import TrialOutcome
from contract.search import Objective, Search, trials_text
from services.trainer.model import MAX_PARAMETERS
from services.trainer.search.folds import MOST_ANSWERS
from services.trainer.search.study import maximizes
from services.trainer.search.trial import scores_of
from services.trainer.worker import Loaded
from worker.task import Task

MOST_BYTES = 4 * MAX_PARAMETERS  # weights of all members, since one file has them
MOST_TRIED = 30  # trials, the best ones
UNUSABLE = "an image was erased meanwhile, or no answers were kept"
ROUNDING = 1e-6  # a smaller gain comes from rounding, such as between two trials with the same weights

Answers = NDArray[np.float32]
"""Logarithms of probabilities (n, classes)."""


class Selection(NamedTuple):
    """Trials by their numbers, the best first, and the objective after each of them was added."""

    members: tuple[int, ...]
    values: tuple[float, ...]


def select(
    numbers: Sequence[int],
    answers: Callable[[int], Answers],
    labels: NDArray[np.int64],
    objective: Objective,
    most: int,
    fits: Callable[[Sequence[int]], bool] = lambda members: True,
) -> Selection:
    """Begin with the first trial, and add the one that improves the mean most, until none does or there are `most`.

    A trial is added only if it `fits` into one model with the others. `answers` is called for each trial and member.
    """
    total = answers(numbers[0])
    members, values = [numbers[0]], [_value(total, labels, objective)]
    sign = 1 if maximizes(objective) else -1
    while len(members) < most:
        others = [number for number in numbers if number not in members and fits((*members, number))]
        if not others:
            break
        tried = [_value(np.logaddexp(total, answers(number)), labels, objective) for number in others]
        gains = [sign * (value - values[-1]) for value in tried]
        best = int(np.argmax(gains))
        if gains[best] <= ROUNDING:
            break
        total = np.logaddexp(total, answers(others[best]))
        members.append(others[best])
        values.append(tried[best])
    return Selection(tuple(members), tuple(values))


def members_of(
    task: Task, loaded: Loaded, settings: Search, best: int, outcomes: Mapping[int, TrialOutcome]
) -> tuple[tuple[int, ...], Choice]:
    """Choose from complete trials, given in their order from the best one; return also the reason.

    A trial cannot be combined with others if it has kept no answers, or if one of its validation images was erased
    afterwards.
    """
    labels, classes = loaded.data.val.labels, loaded.data.classes
    if best not in outcomes:
        return _alone(best, "only complete trials are combined, and every trial with a model was ended early")
    if len(labels) * classes > MOST_ANSWERS:
        return _alone(
            best,
            f"{len(labels):,} validation images of {classes:,} classes would take too much memory to combine trials",
        )

    tried = list(outcomes)[:MOST_TRIED]
    stored = {number: file for number in tried if (file := outcomes[number].validation) is not None}

    @lru_cache(max(1, MOST_ANSWERS // max(1, len(labels) * classes)))  # as much memory as the largest answers
    def answers(number: int) -> Answers:
        task.check_stop()
        logits = np.load(BytesIO(task.objects.read(stored[number])), allow_pickle=False)
        logarithms: Answers = torch.from_numpy(logits).log_softmax(dim=1).numpy()
        return logarithms

    def fits(members: Sequence[int]) -> bool:
        return sum(outcomes[number].state.size for number in members) <= MOST_BYTES

    usable = [number for number in stored if len(answers(number)) == len(labels)]
    if best not in usable:
        return _alone(best, f"the best trial cannot be combined: {UNUSABLE}")
    selection = select(usable, answers, labels, settings.objective, settings.ensemble, fits)
    members = selection.members
    because = because_of(selection, settings.objective)
    large = sum(not fits((*members, number)) for number in usable if number not in members)
    if large and len(members) < settings.ensemble:
        because += f"; with {large} of {len(tried)} trials, the weights would be over {MOST_BYTES >> 20:,} MiB"
    if missing := len(tried) - len(usable):
        because += f"; {missing} of {len(tried)} trials cannot be combined: {UNUSABLE}"
    return members, Choice(what="search.ensemble", value=len(members), because=because)


def _alone(best: int, because: str) -> tuple[tuple[int, ...], Choice]:
    return (best,), Choice(what="search.ensemble", value=1, because=because)


def because_of(selection: Selection, objective: Objective) -> str:
    """Return the sentence that says what the trials gain together."""
    if len(selection.members) == 1:
        return f"no other trial improves the answers of trial {selection.members[0]} on the validation images"
    alone, joined = selection.values[0], selection.values[-1]
    names = f"{trials_text(selection.members)} together"
    if objective == "val.accuracy":
        return (
            f"{names} are right on {100 * joined:.1f} % of the validation images, the best alone on {100 * alone:.1f} %"
        )
    score = "macro F1" if objective == "val.macro_f1" else "loss"
    return f"{names} have a {score} of {joined:.3f} on the validation images, the best alone {alone:.3f}"


def _value(answers: Answers, labels: NDArray[np.int64], objective: Objective) -> float:
    scores = scores_of(answers, labels, answers.shape[1])
    return scores.of(objective) if scores else 0.0
