"""How much better one of two models is, judged on the same images: one-sided tests for paired answers."""

import math
from statistics import NormalDist

_STEPS = 60  # of the bisection, which halves an interval of 2 to less than 1e-17
_NORMAL = NormalDist()


def chance_of(better: int, worse: int) -> float:
    """Return the chance that at least `better` of the images that only one model gets right are this model's.

    The one-sided exact binomial test of two equally good models: McNemar, "Note on the sampling error of the difference
    between correlated proportions or percentages", 1947. It is 1 without such images.
    """
    count = better + worse
    scale = math.lgamma(count + 1) - count * math.log(2)
    terms = (math.lgamma(number + 1) + math.lgamma(count - number + 1) for number in range(better, count + 1))
    return min(1.0, math.fsum(math.exp(scale - term) for term in terms))


def chance_of_margin(better: int, worse: int, count: int, margin: float) -> float:
    """Return the chance that a model which is better by `margin` only would look at least as good on `count` images.

    `margin` is a difference of accuracies. The score test of Tango, "Equivalence test and confidence interval for the
    difference in proportions for the paired-sample design", 1998.
    """
    return 1 - _NORMAL.cdf(_score(better, worse, count, margin))


def at_least(better: int, worse: int, count: int, confidence: float) -> float:
    """Return by how much the model is better at least, as a difference of accuracies, with a one-sided confidence.

    The lower limit of Tango's score interval; negative if the model may be worse.
    """
    quantile = _NORMAL.inv_cdf(confidence)
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(better, worse, count, middle) > quantile else (low, middle)
    return low


def images_to_show(better: int, worse: int, count: int, margin: float, confidence: float) -> int | None:
    """Estimate how many images like these would show that the model is better by more than `margin`.

    The normal approximation with the rates of these images; None if the model is not better by more than `margin`.
    """
    difference = (better - worse) / count
    if difference <= margin:
        return None
    variance = (better + worse) / count - difference**2
    return math.ceil(_NORMAL.inv_cdf(confidence) ** 2 * variance / (difference - margin) ** 2)


def _score(better: int, worse: int, count: int, difference: float) -> float:
    """Return Tango's statistic for a true difference; it is standard normal if that is the difference, and falls in it.

    `share` is the most likely share of images that only the other model gets right, given the difference.
    """
    linear = (2 * count - better + worse) * difference - better - worse
    constant = -worse * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * count * constant)) - linear) / (4 * count)
    variance = count * (2 * share + difference * (1 - difference))
    distance = better - worse - count * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0
