"""Which trials are chosen to answer together, by made-up answers."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.choices import Choice
from contract.search import Objective, Search
from services.trainer.search import selection as selection_module
from services.trainer.search.selection import Selection, because_of, members_of, select
from tests.examples import TRIAL_OUTCOME
from tests.support.training_task import MemoryTask

LABELS = np.array([0, 0, 1, 1, 2, 2])
STATE_BYTES = 100 << 20
OUTCOME = TRIAL_OUTCOME.model_copy(update={"state": TRIAL_OUTCOME.state.model_copy(update={"size": STATE_BYTES})})


def answers_of(**wrong: dict[int, int]) -> Callable[[int], NDArray[np.float32]]:
    """Answers with 0.8 for the true class, but for the class that is given for an image; by the letter of a trial."""

    def answers(number: int) -> NDArray[np.float32]:
        given = LABELS.copy()
        for image, label in wrong["abcd"[number]].items():
            given[image] = label
        scores: NDArray[np.float32] = np.log(np.where(given[:, None] == np.arange(3), 0.8, 0.1)).astype(np.float32)
        return scores

    return answers


# Trial b is wrong where a is, so that only c and d help.
ANSWERS = answers_of(a={0: 1, 1: 2}, b={0: 1, 1: 2}, c={2: 0, 3: 2}, d={4: 0, 5: 1})


def test_the_trials_that_improve_the_mean_most_are_added_to_the_best() -> None:
    selection = select((0, 1, 2, 3), ANSWERS, LABELS, "val.loss", 3)

    assert selection.members == (0, 2, 3)
    assert selection.values == pytest.approx(sorted(selection.values, reverse=True))
    mean = np.mean([np.exp(ANSWERS(number)) for number in selection.members], axis=0)
    assert selection.values[-1] == pytest.approx(-np.log(mean[np.arange(6), LABELS]).mean(), abs=1e-6)


def test_no_more_trials_are_chosen_than_asked_for() -> None:
    assert select((0, 1, 2, 3), ANSWERS, LABELS, "val.loss", 2).members == (0, 2)


@pytest.mark.parametrize("objective", ["val.accuracy", "val.macro_f1", "val.loss"])
def test_a_trial_that_changes_nothing_is_left_out(objective: Objective) -> None:
    selection = select((0, 1), ANSWERS, LABELS, objective, 10)

    assert selection.members == (0,)
    assert because_of(selection, objective) == "no other trial improves the answers of trial 0 on the validation images"


def test_a_trial_that_makes_the_mean_worse_is_left_out() -> None:
    # given a best trial without mistakes
    perfect = answers_of(a={}, b={0: 1}, c={2: 0, 3: 2}, d={})

    assert select((0, 1, 2), perfect, LABELS, "val.accuracy", 3) == Selection((0,), (1.0,))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            "val.accuracy",
            "trials 4, 7 and 1 together are right on 91.3 % of the validation images, the best alone on 9",
        ),
        ("val.macro_f1", "trials 4, 7 and 1 together have a macro F1 of 0.913 on the validation images, the best alo"),
        ("val.loss", "trials 4, 7 and 1 together have a loss of 0.913 on the validation images, the best alone 0.902"),
    ],
)
def test_the_reason_names_the_trials_and_what_they_gain(objective: Objective, message: str) -> None:
    assert because_of(Selection((4, 7, 1), (0.902, 0.91, 0.913)), objective).startswith(message)


def chosen(folder: Path, *rows: int | None) -> tuple[tuple[int, ...], Choice]:
    """Choose from trials a, c and d; each has answers to this number of validation images, or has kept none."""
    task: Any = MemoryTask(folder)
    outcomes = {}
    for number, count in zip((0, 2, 3), rows, strict=True):
        if count is None:
            outcomes[number] = OUTCOME
            continue
        np.save(folder / "answers.npy", np.resize(ANSWERS(number), (count, 3)))
        stored = task.put(f"{number}.npy", folder / "answers.npy")
        outcomes[number] = OUTCOME.model_copy(update={"validation": stored})
    settings = Search(over={"epochs": (5, 9)}, objective="val.loss", ensemble=3)
    loaded: Any = SimpleNamespace(data=SimpleNamespace(val=SimpleNamespace(labels=LABELS), classes=3))
    return members_of(task, loaded, settings, 0, outcomes)


def test_trials_are_compared_by_the_answers_that_they_have_stored(tmp_path: Path) -> None:
    members, choice = chosen(tmp_path, 6, 6, 6)

    assert members == (0, 2, 3)
    assert choice.because == (
        "trials 0, 2 and 3 together have a loss of 0.568 on the validation images, the best alone 0.916"
    )


@pytest.mark.parametrize(
    ("rows", "members", "message"),
    [
        ((6, 7, 6), (0, 3), "the best alone 0.916; 1 of 3 trials cannot be combined: "),
        ((6, None, 6), (0, 3), "the best alone 0.916; 1 of 3 trials cannot be combined: "),
        ((7, 6, 7), (0,), "the best trial cannot be combined: "),
        ((None, 6, 6), (0,), "the best trial cannot be combined: "),
    ],
)
def test_trials_without_answers_to_the_same_images_are_not_combined(
    tmp_path: Path, rows: tuple[int | None, ...], members: tuple[int, ...], message: str
) -> None:
    kept, choice = chosen(tmp_path, *rows)

    assert kept == members
    assert choice.because.endswith(f"{message}an image was erased meanwhile, or no answers were kept")


@pytest.mark.parametrize(
    ("room", "members", "message"),
    [
        (2, (0, 2), "the best alone 0.916; with 1 of 3 trials, the weights would be over 200 MiB"),
        (1, (0,), "on the validation images; with 2 of 3 trials, the weights would be over 100 MiB"),
    ],
)
def test_members_are_added_as_long_as_their_weights_fit_into_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, members: tuple[int, ...], message: str
) -> None:
    monkeypatch.setattr(selection_module, "MOST_BYTES", room * STATE_BYTES)

    kept, choice = chosen(tmp_path, 6, 6, 6)

    assert kept == members
    assert choice.because.endswith(message)


def test_too_many_validation_images_are_not_combined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection_module, "MOST_ANSWERS", 17)

    members, choice = chosen(tmp_path, 6, 6, 6)

    assert (members, choice.value) == ((0,), 1)
    assert choice.because == "6 validation images of 3 classes would take too much memory to combine trials"
