"""How many wrong labels the queue of likely label errors finds, and what correcting the first ones gives back."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import Line
from benchmarks.people import heads
from benchmarks.people.photos import Labelled, Photos
from media.judging.accuracy import confusion_matrix
from media.judging.label_errors import likely_label_errors
from services.trainer.out_of_fold import LISTED, out_of_fold
from services.trainer.probe import Labels, Probe

KINDS = ("uniform", "confusable")
SHARE = 0.05  # of the training images get a wrong label
DEPTHS = (0.1, 0.5, 1.0)  # of the queue, that people review


def measure(photos: Photos, kind: str, seed: int, share: float = SHARE) -> Line:
    """Make labels wrong, look for them as a training does, and correct those that people look at first."""
    features, truth = photos.train
    classes = len(photos.classes)
    labels = flipped(photos, kind, share, np.random.default_rng(seed))
    wrong = labels != truth
    noisy = heads.fit((features, labels), photos.val, classes)
    queue = _queue((features, labels), classes, noisy)
    line: Line = {"kind": kind, "seed": seed, "share": share, "wrong": int(wrong.sum()), "queue": len(queue)}
    line |= {
        "clean": heads.quality(_clean(photos), photos.test)._asdict(),
        "noisy": heads.quality(noisy, photos.test)._asdict(),
    }
    line["found"] = [_found(name, queue[:count], wrong) for name, count in _counts(len(queue), int(wrong.sum()))]
    line["reviewed"] = [_reviewed(photos, labels, queue, depth) for depth in DEPTHS]
    return line


def flipped(photos: Photos, kind: str, share: float, rng: np.random.Generator) -> Labels:
    """Return the labels of the training split with a share of wrong ones.

    A uniform error is any other class; a confusable one is a class that heads confuse with the right one, as often as
    they do.
    """
    _, truth = photos.train
    classes = len(photos.classes)
    rows = rng.permutation(len(truth))[: round(share * len(truth))]
    others = np.ones((classes, classes)) if kind == "uniform" else _confusions(photos) + 1e-6  # a new array
    np.fill_diagonal(others, 0)
    labels = truth.copy()
    for row in rows:
        chances = others[truth[row]]
        labels[row] = rng.choice(classes, p=chances / chances.sum())
    return labels


@cache
def _clean(photos: Photos) -> Probe:
    """Return the head of the right labels."""
    return heads.fit(photos.train, photos.val, len(photos.classes))


@cache
def _confusions(photos: Photos) -> NDArray[np.float64]:
    classes = len(photos.classes)
    weighted = heads.balanced(photos.train[1], classes)
    predicted = out_of_fold(photos.train, classes, _clean(photos).penalty, weighted).argmax(axis=1)
    return confusion_matrix(photos.train[1], predicted, classes).astype(np.float64)


def _queue(train: Labelled, classes: int, head: Probe) -> NDArray[np.int64]:
    """Return the training images whose label is probably wrong, the surest first, as a training does."""
    probabilities = out_of_fold(train, classes, head.penalty, heads.balanced(train[1], classes))
    return np.array([suspect.row for suspect in likely_label_errors(probabilities, train[1])], np.int64)


def _counts(queue: int, wrong: int) -> Iterator[tuple[str, int]]:
    yield f"the first {LISTED}, which the manifest lists", min(LISTED, queue)
    yield "as many as are wrong", min(wrong, queue)
    yield "all", queue


def _found(name: str, rows: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Line:
    hits = int(wrong[rows].sum())
    return {"of": name, "images": len(rows), "precision": hits / max(len(rows), 1), "recall": hits / int(wrong.sum())}


def _reviewed(photos: Photos, labels: Labels, queue: Sequence[int] | NDArray[np.int64], depth: float) -> Line:
    """Correct the first images of the queue and train again."""
    features, truth = photos.train
    rows = np.asarray(queue)[: round(depth * len(queue))]
    corrected = labels.copy()
    corrected[rows] = truth[rows]
    head = heads.fit((features, corrected), photos.val, len(photos.classes))
    return {"depth": depth, "images": len(rows), **heads.quality(head, photos.test)._asdict()}


def recovered(lines: Sequence[Line], depth: float, measure: str) -> float | None:
    """Return the share of the lost accuracy, or of the risen loss, that corrections give back, over all seeds.

    None if nothing was lost.
    """
    clean, noisy = (np.mean([line[name][measure] for line in lines]) for name in ("clean", "noisy"))
    after = np.mean([row[measure] for line in lines for row in line["reviewed"] if row["depth"] == depth])
    lost = clean - noisy
    worse = lost > 0 if measure != "loss" else lost < 0
    return float((after - noisy) / lost) if worse else None
