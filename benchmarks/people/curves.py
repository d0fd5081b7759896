"""How good models are after a number of answers, and how many answers a way to choose images saves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import MISSING, Line, table
from benchmarks.people.loop import ANSWERS

BUDGETS = (300, 500, 1000, 1900)  # answers, beside all
WINDOW = 3  # rounds, whose mean says whether a goal is reached
ROUNDING = 1e-9

Measure = Literal["accuracy", "loss"]
Runs = Sequence[Sequence[Line]]


@dataclass(frozen=True)
class Curve:
    """A measure (seeds, rounds) after this many `answers`; losses are negative, so that more is better."""

    answers: tuple[int, ...]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Runs, measure: Measure = "accuracy") -> "Curve":
        """Return the curve of runs; if their numbers of answers differ, at multiples of 100, between two trainings."""
        answers = [[line["answers"] for line in lines] for lines in runs]
        grid = answers[0]
        if any(other != grid for other in answers):
            grid = list(range(0, min(other[-1] for other in answers) + 1, ANSWERS))
        values = [[value_of(line, measure) for line in lines] for lines in runs]
        return cls(tuple(grid), np.array([np.interp(grid, *pair) for pair in zip(answers, values, strict=True)]))

    @property
    def mean(self) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.values.mean(axis=0)
        return mean

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation of the sample over the seeds; 0 for one seed."""
        spread: NDArray[np.float64] = np.zeros(len(self.answers))
        return spread if len(self.values) < 2 else self.values.std(axis=0, ddof=1)

    def smooth(self) -> NDArray[np.float64]:
        """Return the mean over the seeds and a window of rounds, which is narrower at both ends."""
        last, mean = len(self.answers) - 1, self.mean
        halves = [min(WINDOW // 2, at, last - at) for at in range(last + 1)]
        return np.array([mean[at - half : at + half + 1].mean() for at, half in enumerate(halves)])

    def reached(self, value: float) -> int | None:
        """Return the answers after which the smoothed measure is at least as good for the first time."""
        rounds = np.flatnonzero(self.smooth() >= value - ROUNDING)
        return self.answers[int(rounds[0])] if len(rounds) else None


@dataclass(frozen=True)
class Goal:
    """What random choice reaches after this many answers."""

    answers: int
    value: float

    def saving(self, curve: Curve) -> tuple[int, float] | None:
        """Return the answers that reach it, and the share of answers that this saves; None if it is not reached."""
        answers = curve.reached(self.value)
        return None if answers is None else (answers, 1 - answers / self.answers)


def value_of(line: Line, measure: Measure) -> float:
    return float(line["accuracy"] if measure == "accuracy" else -line["loss"])


def savings(ways: Mapping[str, Runs], everything: Line | None) -> Iterator[str]:
    """Yield the tables of the measures by way; `everything` is the line once all images have an answer."""
    for measure, title in (
        ("accuracy", "By accuracy, in %:"),
        ("loss", "By cross-entropy, in nats, which chance changes less:"),
    ):
        curves = {way: Curve.of(runs, measure) for way, runs in ways.items()}
        yield from (title, "", *_table(curves, measure, everything))


def _table(curves: Mapping[str, Curve], measure: Measure, everything: Line | None) -> list[str]:
    random = curves.get("random")
    budgets = [answers for answers in BUDGETS if random is not None and answers in random.answers]
    smooth = None if random is None else random.smooth()
    goals = [
        Goal(answers, float(smooth[random.answers.index(answers)]))
        for answers in budgets
        if random and smooth is not None
    ]
    if everything is not None:
        goals.append(Goal(everything["answers"], value_of(everything, measure)))
    columns = ["chosen by", *(f">after {answers:,}" for answers in budgets)]
    columns += [f">as {goal.answers:,} random ones, {_text(goal.value, measure)}" for goal in goals]
    rows = [
        (
            way,
            *(_after(curve, answers, measure) for answers in budgets),
            *(_saving(goal.saving(curve)) for goal in goals),
        )
        for way, curve in curves.items()
    ]
    return table(columns, rows)


def _after(curve: Curve, answers: int, measure: Measure) -> str:
    if answers not in curve.answers:
        return MISSING
    at = curve.answers.index(answers)
    return f"{_text(curve.mean[at], measure)} ± {_text(curve.deviation[at], measure)}"


def _text(value: float, measure: Measure) -> str:
    return f"{100 * value:.1f}" if measure == "accuracy" else f"{abs(value):.3f}"


def _saving(saving: tuple[int, float] | None) -> str:
    if saving is None:
        return MISSING
    return f"{saving[0]:,} ({abs(saving[1]):.0%} {'more' if saving[1] < 0 else 'fewer'})"
