"""What the requests of several versions together should look like, and how often their answers should be right."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from contract.drift import DriftCounts, DriftReference, EstimatedAccuracy, StatisticName
from media.drift.distances import Histogram


class Served(NamedTuple):
    """What a version has counted, and the reference of its training."""

    counts: DriftCounts
    reference: DriftReference


def histograms(
    served: Sequence[Served], statistic: StatisticName, labels: Sequence[str]
) -> tuple[Histogram, Histogram]:
    """Return the counts of versions together, and what they would be if nothing had changed.

    Each version's reference counts by its share of the requests. The sum has as many images as a single sample with the
    same variance. Both are empty if there is nothing to compare. `labels` is the order of the classes.
    """
    pairs = [tuple(_histogram(counts, statistic, labels) for counts in version) for version in served]
    pairs = [(a, b) for a, b in pairs if a.sum() and b.sum() and len(a) == len(b)]
    if not pairs:
        return np.empty(0), np.empty(0)
    observed, references = (np.array(columns) for columns in zip(*pairs, strict=True))
    weights, sizes = observed.sum(axis=1) / observed.sum(), references.sum(axis=1)
    shares = (weights / sizes) @ references
    return observed.sum(axis=0), shares / np.square(weights).dot(1 / sizes)


def estimated_accuracy(served: Sequence[Served]) -> EstimatedAccuracy | None:
    """Estimate the accuracy of versions together from their scores, or return None if they have answered nothing.

    Confidence-based performance estimation: the mean score of the predicted class, which is the expected accuracy if
    the scores are calibrated (Kivimäki, Białek, Nurminen and Kuberski, "Confidence-based Estimators for Predictive
    Performance in Model Monitoring", 2024). The scores of models that were trained here are: training divides their
    logits by the temperature that it fits to the validation images (`services.trainer.temperature`).
    """
    answered = sum(version.counts.predictions for version in served)
    if not answered:
        return None

    def mean(value: Callable[[Served], float]) -> float:
        """Return the mean of a value of the versions, by their shares of the requests."""
        total = sum(value(version) * version.counts.predictions for version in served)
        return min(1.0, max(0.0, total / answered))

    return EstimatedAccuracy(
        estimate=mean(lambda version: _mean_score(version.counts)),
        on_validation=mean(lambda version: _mean_score(version.reference)),
        validation_accuracy=mean(lambda version: version.reference.accuracy),
    )


def _mean_score(counts: DriftCounts) -> float:
    return counts.confidence_sum / counts.predictions if counts.predictions else 0.0


def _histogram(counts: DriftCounts, statistic: StatisticName, labels: Sequence[str]) -> Histogram:
    if statistic == "classes":
        return np.array([counts.classes.get(label, 0) for label in labels], np.float64)
    return np.array(getattr(counts, statistic), np.float64)
