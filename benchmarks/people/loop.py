"""The loop: a model serves, people label what a sampler has chosen of its traffic, a new model is trained.

A tenth of the training images has labels at first. The others are traffic, in random order. People, who are always
right, label 100 images at a time. The validation and test splits stay the same.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.page import Line
from benchmarks.people import heads
from benchmarks.people.choosing import Candidates, Choose
from benchmarks.people.photos import Photos
from services.trainer.data import Indices
from services.trainer.probe import Probe

FIRST = 0.1  # of the training images
ANSWERS = 100  # between two trainings


def run(photos: Photos, choose: Choose, seed: int, most: int | None = None, a_day: int | None = None) -> list[Line]:
    """Return the quality of the models after each 100 answers, until all images or `most` have an answer.

    With `a_day`, a sampler sees that many images between two trainings, of those without a label, instead of all; the
    loop ends when fewer are left.
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


def of_all(photos: Photos) -> Line:
    """Return the quality after all images have an answer, which is the same however they were chosen."""
    head = heads.fit(photos.train, photos.val, len(photos.classes))
    count = len(photos.train[1])
    return {"answers": count - round(FIRST * count), **heads.quality(head, photos.test)._asdict()}
