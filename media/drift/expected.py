"""What the requests of several versions together should look like, and how often their answers should be right."""

from collections.abc import Callable, Sequence
from operator import mul
from typing import NamedTuple

from contract.drift import Bins, DriftCounts, DriftReference, EstimatedAccuracy, StatisticName
from media.drift.bins import SCALES
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
    pairs = [(observed, reference) for observed, reference in pairs if sum(observed) and sum(reference)]
    if not pairs:
        return (), ()
    sums = [sum(column) for column in zip(*(observed for observed, _ in pairs), strict=True)]
    weights = [sum(observed) / sum(sums) for observed, _ in pairs]
    sizes = [sum(reference) for _, reference in pairs]
    images = 1 / sum(weight**2 / size for weight, size in zip(weights, sizes, strict=True))
    factors = [images * weight / size for weight, size in zip(weights, sizes, strict=True)]
    references = zip(*(reference for _, reference in pairs), strict=True)
    return sums, [sum(map(mul, factors, column)) for column in references]


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
    """Return the counts in order; none if another release counted them in other bins."""
    if statistic == "classes":
        return [counts.classes.get(label, 0) for label in labels]
    bins: Bins = getattr(counts, statistic)
    return bins if len(bins) == SCALES[statistic].bins else ()
