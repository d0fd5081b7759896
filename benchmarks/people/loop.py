"""The loop: a model serves, people label what a sampler has chosen of its traffic, a new model is trained.

A tenth of the training images has labels at first. The others are traffic, in random order. People, who are always
right, label 100 images at a time. The validation and test splits stay the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.people import heads
from benchmarks.people.choosing import Candidates, Choose, Indices
from benchmarks.people.photos import Photos
from services.trainer.probe import Probe

FIRST = 0.1  # of the training images
ANSWERS = 100  # between two trainings
WINDOW = 3  # rounds, whose mean accuracy says whether a goal is reached
ROUNDING = 1e-9

Line = dict[str, Any]


def run(photos: Photos, choose: Choose, seed: int, most: int | None = None, a_day: int | None = None) -> list[Line]:
    """Return the quality of the models after each 100 answers, until all images or `most` have an answer.

    With `a_day`, a sampler sees so many images between two trainings, of those that have no label yet, instead of all;
    the loop ends when so many are not left.
    """
    return list(_rounds(photos, choose, np.random.default_rng(seed), most, a_day))


def _rounds(
    photos: Photos, choose: Choose, rng: np.random.Generator, most: int | None, a_day: int | None
) -> Iterator[Line]:
    features, labels = photos.train
    order = rng.permutation(len(labels))
    labelled, unlabelled = np.split(order, [round(FIRST * len(order))])
    first, before = len(labelled), None
    most = min(most or len(labels), len(unlabelled))
    while True:
        train = (features[labelled], labels[labelled])
        head = heads.fit(train, photos.val, len(photos.classes))
        answers = len(labelled) - first
        yield {"answers": answers, **heads.quality(head, photos.test)._asdict()}
        if answers >= most or len(unlabelled) < (a_day or 0):
            return
        seen = rng.permutation(unlabelled)[:a_day]
        chosen = seen[choose(_candidates(photos, head, before, seen, rng), min(ANSWERS, most - answers))]
        labelled = np.concatenate([labelled, chosen])
        unlabelled = np.setdiff1d(unlabelled, chosen)
        before = head


def _candidates(
    photos: Photos, head: Probe, before: Probe | None, seen: Indices, rng: np.random.Generator
) -> Candidates:
    images = photos.train[0][seen]
    return Candidates(
        logits=heads.logits_of(head, images),
        shadow=None if before is None else heads.logits_of(before, images),
        judged=(heads.logits_of(head, photos.val[0]), photos.val[1]),
        rng=rng,
    )


@dataclass(frozen=True)
class Curve:
    """The accuracies (seeds, rounds) after so many `answers`."""

    answers: tuple[int, ...]
    accuracies: NDArray[np.float64]

    @classmethod
    def of(cls, seeds: Sequence[Sequence[Line]]) -> "Curve":
        """Return the curve of runs; if their numbers of answers differ, at multiples of 100, between two trainings."""
        answers = [[line["answers"] for line in lines] for lines in seeds]
        grid = answers[0]
        if any(other != grid for other in answers):
            grid = list(range(0, min(other[-1] for other in answers) + 1, ANSWERS))
        values = [[line["accuracy"] for line in lines] for lines in seeds]
        rows = [np.interp(grid, own, accuracies) for own, accuracies in zip(answers, values, strict=True)]
        return cls(tuple(grid), np.array(rows))

    @property
    def mean(self) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.accuracies.mean(axis=0)
        return mean

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation of the sample over the seeds; 0 for one seed."""
        spread: NDArray[np.float64] = np.zeros(len(self.answers))
        return spread if len(self.accuracies) < 2 else self.accuracies.std(axis=0, ddof=1)

    def smooth(self) -> NDArray[np.float64]:
        """Return the mean over the seeds and a window of rounds, which is narrower at both ends."""
        last, mean = len(self.answers) - 1, self.mean
        halves = [min(WINDOW // 2, at, last - at) for at in range(last + 1)]
        return np.array([mean[at - half : at + half + 1].mean() for at, half in enumerate(halves)])

    def after(self, answers: int) -> float:
        """Return the smoothed accuracy after so many answers."""
        return float(self.smooth()[self.answers.index(answers)])

    def reached(self, accuracy: float) -> int | None:
        """Return the answers after which the smoothed accuracy is at least so high for the first time."""
        rounds = np.flatnonzero(self.smooth() >= accuracy - ROUNDING)
        return self.answers[int(rounds[0])] if len(rounds) else None


@dataclass(frozen=True)
class Goal:
    """The accuracy of random choice after so many answers."""

    answers: int
    accuracy: float

    def saving(self, curve: Curve) -> tuple[int, float] | None:
        """Return the answers that reach it, and the share of answers that this saves; None if it is not reached."""
        answers = curve.reached(self.accuracy)
        return None if answers is None else (answers, 1 - answers / self.answers)


def of_all(photos: Photos) -> Line:
    """Return the quality after all images have an answer, which is the same however they were chosen."""
    head = heads.fit(photos.train, photos.val, len(photos.classes))
    count = len(photos.train[1])
    return {"answers": count - round(FIRST * count), **heads.quality(head, photos.test)._asdict()}
