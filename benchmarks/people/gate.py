"""Which candidates the gate of a pipeline lets pass: simulated candidates whose real difference is known.

A champion and a rival are trained on parts of the training images. On images that neither has seen, the rival gets some
right that the champion gets wrong, and the other way round. A simulated candidate has the champion's answers, but loses
as many images as the rival does, and gains as many as its difference needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import Line
from benchmarks.people import heads
from benchmarks.people.photos import Photos
from contract.kinds.evaluate import EvaluateSpec
from contract.pipelines import Gate
from services.inference.judging.answers import Answers
from services.inference.judging.report import Judged, make_report
from services.storage.people.gate import decide
from services.trainer.probe import Labels, Matrix

CHAMPION, RIVAL = 0.4, 0.6  # of the training images, from the first one on
SIZES = (200, 400, 1000, 2000, 5000)  # images of a test split
SPEC = EvaluateSpec(model="photos@2", dataset="photos@1", compare_with="photos@1")


@dataclass(frozen=True)
class Kind:
    """Candidates that are better by `better` of all images, while one class falls by `fall` of its images."""

    name: str
    better: float
    fall: float = 0.0
    passes: bool = False  # whether the gate should promote it


KINDS = (
    Kind("worse by 2 points", -0.02),
    Kind("equal", 0.0),
    Kind("better by 0.5 points, the margin", 0.005),
    Kind("better by 2 points, one class worse by 20", 0.02, fall=0.2),
    Kind("better by 1 point", 0.01, passes=True),
    Kind("better by 2 points", 0.02, passes=True),
    Kind("better by 3 points", 0.03, passes=True),
    Kind("better by 5 points", 0.05, passes=True),
)


@dataclass(frozen=True)
class Population:
    """The champion's logits and the labels of images that it has not seen; the rival loses the share `lost` of them.

    `falling` is the class that falls, of middle size.
    """

    classes: tuple[str, ...]
    logits: Matrix
    truth: Labels
    lost: float
    falling: int

    @property
    def right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.logits.argmax(axis=1) == self.truth
        return right


def population(photos: Photos, seed: int) -> Population:
    """Train champion and rival, and answer the images that neither has seen."""
    features, labels = photos.train
    order = np.random.default_rng(seed).permutation(len(labels))
    stops = [round(share * len(order)) for share in (CHAMPION, RIVAL)]
    trained = [
        heads.fit((features[order[:stop]], labels[order[:stop]]), photos.val, len(photos.classes)) for stop in stops
    ]
    images = np.concatenate([features[order[stops[1] :]], photos.test[0]])
    truth = np.concatenate([labels[order[stops[1] :]], photos.test[1]])
    champion, rival = (heads.logits_of(head, images) for head in trained)
    lost = (champion.argmax(axis=1) == truth) & (rival.argmax(axis=1) != truth)
    sizes = np.bincount(truth, minlength=len(photos.classes))
    falling = int(np.argsort(sizes, kind="stable")[len(sizes) // 2])
    return Population(photos.classes, champion, truth, float(lost.mean()), falling)


def measure(photos: Photos, seeds: int, runs: int, sizes: tuple[int, ...] = SIZES) -> Iterator[Line]:
    """Yield for each kind of candidate and size of a test split how many of the `runs` of each seed are promoted."""
    populations = [population(photos, seed) for seed in range(seeds)]
    for kind in KINDS:
        for size in sizes:
            promoted = [_promoted(images, kind, size, seed, runs) for seed, images in enumerate(populations)]
            line = {"kind": kind.name, "passes": kind.passes, "images": size, "promoted": promoted, "runs": runs}
            yield line | {
                "champion": [float(images.right.mean()) for images in populations],
                "lost": [i.lost for i in populations],
            }


def _promoted(images: Population, kind: Kind, size: int, seed: int, runs: int) -> int:
    rng = np.random.default_rng((seed, size))
    return sum(_passes(images, kind, size, rng) for _ in range(runs))


def _passes(images: Population, kind: Kind, size: int, rng: np.random.Generator) -> bool:
    """Draw a test split, let a candidate answer it, and decide on its report."""
    rows = rng.integers(len(images.truth), size=size)
    truth = images.truth[rows]
    champion = Answers(images.classes, images.logits[rows], truth)
    candidate = Answers(images.classes, candidate_logits(images, kind, rows, rng), truth)
    report, _ = make_report(
        Judged(
            spec=SPEC,
            variants=(None, None),
            answers=candidate,
            baseline=champion,
            validation=None,
            index=None,
            training={},
        )
    )
    return decide(report, Gate()).passed


def candidate_logits(images: Population, kind: Kind, rows: NDArray[np.int64], rng: np.random.Generator) -> Matrix:
    """Return the logits of a candidate: the champion's, with two scores swapped where it gains or loses an image.

    Raises ValueError if the champion is too good for the difference.
    """
    right, falls = images.right, (images.truth == images.falling) & (kind.fall > 0)
    gained = images.lost + kind.better + kind.fall * float(falls.mean())
    free = (~right & ~falls).mean()
    if gained > free:
        raise ValueError(f"{kind.name}: {gained:.1%} of the images must be gained, but only {free:.1%} are wrong")
    chances = np.where(right, images.lost / (right & ~falls).mean(), gained / free)
    if kind.fall:
        chances[falls] = np.where(right[falls], kind.fall / right[falls].mean(), 0.0)
    changed = np.flatnonzero(rng.random(len(rows)) < chances[rows])
    logits = images.logits[rows].copy()
    order = np.argsort(-logits, axis=1)
    other = np.where(right[rows], order[:, 1], images.truth[rows])
    first, second = order[changed, 0], other[changed]
    logits[changed, first], logits[changed, second] = logits[changed, second], logits[changed, first]
    return logits
