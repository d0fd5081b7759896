"""Heads as a training fits them, and how good they are on images that they have not seen."""

from typing import NamedTuple

import numpy as np
import torch

from benchmarks.people.photos import Labelled
from media.judging.accuracy import balanced_accuracy, confusion_matrix
from media.judging.temperature import losses
from services.trainer import decisions, probe
from services.trainer.decisions import Facts
from services.trainer.probe import Labels, Matrix, Probe


class Quality(NamedTuple):
    """Accuracy and mean recall of the classes (0..1), and cross-entropy in nats."""

    accuracy: float
    recall: float
    loss: float


def balanced(labels: Labels, classes: int) -> bool:
    """Return whether a training weights the classes."""
    counts = tuple(np.bincount(labels, minlength=classes).tolist())
    return decisions.balance(Facts((3, 1, 1), counts)) == "balanced"


def fit(train: Labelled, val: Labelled, classes: int) -> Probe:
    """Fit a head as the probe of a training does."""
    return probe.fit(train, val, classes, balanced(train[1], classes))


def logits_of(head: Probe, features: Matrix) -> Matrix:
    """Return the logits (n, classes) of a head."""
    logits: Matrix = (torch.from_numpy(features) @ head.weight.T + head.bias).numpy()
    return logits


def quality(head: Probe, test: Labelled) -> Quality:
    """Judge a head on a split."""
    logits = logits_of(head, test[0])
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(test[1], predicted, logits.shape[1])
    loss = float(losses(logits, test[1]).mean())
    return Quality(float((predicted == test[1]).mean()), balanced_accuracy(matrix), loss)
