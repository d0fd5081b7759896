"""Ways to choose the images that people label next."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from media.judging.temperature import fit_temperature, probabilities
from services.trainer.data import Indices
from services.trainer.probe import Labels, Matrix


@dataclass(frozen=True)
class Candidates:
    """Images without a label: the logits (n, classes) of the model that serves, and of the one before it.

    `judged` are the logits and labels of the validation images.
    """

    logits: Matrix
    shadow: Matrix | None
    judged: tuple[Matrix, Labels]
    rng: np.random.Generator

    def __len__(self) -> int:
        return len(self.logits)


Choose = Callable[[Candidates, int], Indices]


def at_random(candidates: Candidates, count: int) -> Indices:
    return candidates.rng.permutation(len(candidates))[:count]


def by_margin(candidates: Candidates, count: int, calibrated: bool = False, cap: float | None = None) -> Indices:
    """Choose the smallest differences between the two best scores.

    With a `cap`, at most this share of the choice is of one predicted class, unless other classes have no images.
    """
    temperature = fit_temperature(*candidates.judged) if calibrated else 1.0
    order = np.argsort(margins(candidates.logits, temperature), kind="stable")
    if cap is not None:
        order = _capped(order, candidates.logits.argmax(axis=1), round(cap * count))
    return order[:count]


def by_entropy(candidates: Candidates, count: int) -> Indices:
    scores = probabilities(candidates.logits)
    entropy = -(scores * np.log(np.maximum(scores, 1e-300))).sum(axis=1)
    return np.argsort(-entropy, kind="stable")[:count]


def by_mix(candidates: Candidates, count: int, mix: Mapping[str, float]) -> Indices:
    """Choose shares at random, where two models disagree, and by margin, in this order.

    What disagreement leaves is chosen by margin.
    """
    order = candidates.rng.permutation(len(candidates))
    chosen = list(order[: round(mix.get("random", 0.0) * count)])
    if candidates.shadow is not None:
        differs = candidates.logits.argmax(axis=1) != candidates.shadow.argmax(axis=1)
        disagreement = (row for row in order if differs[row])
        chosen += _new(disagreement, chosen, round(mix.get("disagreement", 0.0) * count))
    by_doubt = iter(np.argsort(margins(candidates.logits), kind="stable"))
    return np.array([*chosen, *_new(by_doubt, chosen, count - len(chosen))], np.int64)


def margins(logits: Matrix, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the difference between the two best scores of each row."""
    best = np.partition(probabilities(logits, temperature), -2, axis=1)[:, -2:]
    difference: NDArray[np.float64] = best[:, 1] - best[:, 0]
    return difference


def _new(rows: Iterator[np.int64], chosen: list[np.int64], count: int) -> list[np.int64]:
    """Return the first `count` rows that are not chosen yet."""
    known = set(chosen)
    fresh = (row for row in rows if row not in known)
    return [row for row, _ in zip(fresh, range(count), strict=False)]


def _capped(order: Indices, predicted: Labels, most: int) -> Indices:
    """Move the rows of a class after its first `most` to the end."""
    seen = np.zeros(predicted.max() + 1, np.int64)
    late = np.zeros(len(order), np.bool_)
    for position, row in enumerate(order):
        late[position] = seen[predicted[row]] >= most
        seen[predicted[row]] += 1
    return np.concatenate([order[~late], order[late]])


MIX = {"margin": 0.7, "random": 0.2, "disagreement": 0.1}
WAYS: dict[str, Choose] = {
    "random": at_random,
    "margin": by_margin,
    "mix": partial(by_mix, mix=MIX),
    "mix without disagreement": partial(by_mix, mix={"margin": 0.8, "random": 0.2}),
    "entropy": by_entropy,
    "margin, a class at most 20 %": partial(by_margin, cap=0.2),
    "margin of calibrated scores": partial(by_margin, calibrated=True),
}
