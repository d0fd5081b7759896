"""Likely label errors of training images, by linear heads that were fitted to other images."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from contract.datasets import Label
from contract.evaluation import LabelError, TrainingImages
from media.judging.label_errors import Suspect, likely_label_errors
from services.trainer.data import Names
from services.trainer.probe import Labels, Matrix, fit_penalty, ranks

FOLDS = 5
MOST = 8_000 * 100  # images × classes; 2,640 images of 81 classes take 2 s of one core
FEWEST_CLASSES = 10  # that count for MOST, as features of many images take memory, too
LISTED = 200  # as many as a person reviews before the next training looks again


def judged(
    train: tuple[Matrix, Labels],
    numbers: NDArray[np.int64],
    labels: Sequence[Label],
    penalty: float,
    balanced: bool,
    names: Names,
) -> TrainingImages:
    """List the training images whose label is probably wrong.

    `train` are the features and the classes of the images with these `numbers` in the training split.
    """
    classes, count = train[1], len(train[1])
    sizes = np.bincount(classes, minlength=len(labels))
    if count * max(len(labels), FEWEST_CLASSES) > MOST:
        return TrainingImages(not_judged=f"{count:,} images of {len(labels)} classes would take too long to judge")
    if sizes.max() < 2:
        return TrainingImages(not_judged="no class has two training images")
    return judged_by(out_of_fold(train, len(labels), penalty, balanced), classes, numbers, labels, names)


def judged_by(
    probabilities: Matrix, classes: Labels, numbers: NDArray[np.int64], labels: Sequence[Label], names: Names
) -> TrainingImages:
    """List the images whose label is probably wrong, given probabilities (n, classes) of models that did not see them.

    The images have these `numbers` in the training split.
    """
    sizes = np.bincount(classes, minlength=len(labels))
    # The only image of its class is judged by a model that does not know the class.
    suspects = [s for s in likely_label_errors(probabilities, classes) if sizes[classes[s.row]] > 1]
    listed = suspects[:LISTED]
    originals = names(numbers[[suspect.row for suspect in listed]])

    def error(suspect: Suspect, original: tuple[str | None, str | None]) -> LabelError:
        scores = probabilities[suspect.row]
        return LabelError(
            image=int(numbers[suspect.row]),
            sha256=original[0],
            path=original[1],
            label=labels[classes[suspect.row]],
            predicted=labels[int(scores.argmax())],
            score=float(scores.max()),
            label_score=suspect.self_confidence,
            suggested=labels[suspect.suggested],
            margin=suspect.margin,
        )

    return TrainingImages(
        judged=len(classes),
        accuracy=float((probabilities.argmax(axis=1) == classes).mean()),
        label_errors=tuple(map(error, listed, originals)),
        label_error_count=len(suspects),
    )


def out_of_fold(train: tuple[Matrix, Labels], classes: int, penalty: float, balanced: bool) -> Matrix:
    """Return the probabilities (n, classes) of each image by a head that was fitted to the other folds.

    The images of each class are spread over FOLDS folds. Deterministic on a CPU.
    """
    features, labels = train
    folds = ranks(labels) % FOLDS
    probabilities = np.empty((len(labels), classes), np.float32)
    for fold in range(folds.max() + 1):
        mask = folds == fold
        head = fit_penalty((features[~mask], labels[~mask]), classes, balanced, penalty)
        logits = torch.from_numpy(features[mask]) @ head.weight.T + head.bias
        probabilities[mask] = logits.softmax(dim=1).numpy()
    return probabilities
