"""What the requests of several versions together should look like, and how often their answers should be right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contract.drift import DriftCounts, DriftReference, EstimatedAccuracy, StatisticName
from media.drift.distances import Histogram


class Served(NamedTuple):
    """What a version has counted, and the reference of its training."""

    counts: DriftCounts
    reference: DriftReference


def histograms(served: Sequence[Served], statistic: StatisticName, labels: Sequence[str]) -> tuple[Histogram, Histogram]:
    """Return the counts of versions together, and what they would be if nothing had changed.

    Each version's reference counts by its share of the requests. The sum has as many images as a single sample with the
    same variance. Both are empty if there is nothing to compare. `labels` is the order of the classes.
    """
    pairs = [(_histogram(one.counts, statistic, labels), _histogram(one.reference, statistic, labels)) for one in served]
    pairs = [pair for pair in pairs if pair[0].sum() and pair[1].sum() and len(pair[0]) == len(pair[1])]
    if not pairs:
        return np.empty(0), np.empty(0)
    observed = np.sum([counts for counts, _ in pairs], axis=0)
    weights = np.array([counts.sum() / observed.sum() for counts, _ in pairs])
    sizes = np.array([reference.sum() for _, reference in pairs])
    shares = np.sum([weight * reference / reference.sum() for weight, (_, reference) in zip(weights, pairs, strict=True)], axis=0)
    return observed, shares / np.square(weights).dot(1 / sizes)


def estimated_accuracy(served: Sequence[Served]) -> EstimatedAccuracy | None:
    """Estimate the accuracy of versions together from their scores, or return None if they have answered nothing.

    Confidence-based performance estimation: the mean score of the predicted class, which is the expected accuracy if the
    scores are calibrated (Kivimäki, Białek, Nurminen and Kuberski, "Confidence-based Estimators for Predictive Performance
    in Model Monitoring", 2024). The scores of models that were trained here are: training divides their logits by the
    temperature that it fits to the validation images (`services.trainer.temperature`).
    """
    answered = sum(one.counts.predictions for one in served)
    if not answered:
        return None
    shares = [one.counts.predictions / answered for one in served]
    return EstimatedAccuracy(
        estimate=_share(sum(one.counts.confidence_sum for one in served) / answered),
        on_validation=_share(
            sum(share * one.reference.confidence_sum / one.reference.predictions for share, one in zip(shares, served, strict=True))
        ),
        validation_accuracy=_share(sum(share * one.reference.accuracy for share, one in zip(shares, served, strict=True))),
    )


def _histogram(counts: DriftCounts, statistic: StatisticName, labels: Sequence[str]) -> Histogram:
    values = [counts.classes.get(label, 0) for label in labels] if statistic == "classes" else getattr(counts, statistic)
    return np.array(values, np.float64)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
