"""How far two histograms are apart, and whether chance alone could have made them differ."""

import math

import numpy as np
from numpy.typing import NDArray

Histogram = NDArray[np.float64]

FEWEST = 5.0  # expected count of a cell of the chi-squared test: Cochran, "Some Methods for Strengthening …", 1954


def divergence(first: Histogram, second: Histogram) -> float:
    """Return the Jensen-Shannon divergence of two histograms in bits (0..1).

    Lin, "Divergence Measures Based on the Shannon Entropy", 1991. Its root is a distance (Endres and Schindelin, "A New
    Metric for Probability Distributions", 2003). Each histogram must have at least one count.
    """
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    terms = [share[share > 0] * np.log2(share[share > 0] / middle[share > 0]) for share in (p, q)]
    return min(1.0, max(0.0, float(sum(term.sum() for term in terms)) / 2))


def divergence_by_chance(first: Histogram, second: Histogram) -> float:
    """Return the divergence that two samples of these sizes from the same distribution show on average.

    To second order, the divergence is the sum of (p - q)² / (8 p ln 2), and p - q has the variance
    p (1 - p) (1/n + 1/m): (cells - 1) (1/n + 1/m) / (8 ln 2).
    """
    return min(1.0, _degrees(first, second) / _scale(first, second))


def divergence_error(first: Histogram, second: Histogram, true: float) -> float:
    """Return the standard deviation of the divergence of two samples of these sizes whose `true` divergence is known.

    8 ln 2 / (1/n + 1/m) times the divergence is about a noncentral chi-squared variable, by the same expansion.
    """
    scale = _scale(first, second)
    return math.sqrt(2 * (_degrees(first, second) + 2 * true * scale)) / scale


def p_value(first: Histogram, second: Histogram, ordered: bool = True) -> float:
    """Return the p-value of the chi-squared test that two histograms come from the same distribution.

    The statistic for samples of different sizes is that of Press et al., "Numerical Recipes", section 14.3. Cells with
    too few counts are pooled: neighbours if the cells are `ordered`, else the smallest ones.
    """
    n, m = first.sum(), second.sum()
    both = first + second
    order = np.arange(len(both)) if ordered else np.argsort(-both, kind="stable")
    groups = _groups(both[order] * (min(n, m) / (n + m)))
    a, b = (np.bincount(groups, weights=sample[order]) for sample in (first, second))
    if len(a) < 2:
        return 1.0
    statistic = float((np.square(math.sqrt(m / n) * a - math.sqrt(n / m) * b) / (a + b)).sum())
    return chi_squared_tail(statistic, len(a) - 1)


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """Return the chance that a chi-squared variable with this many degrees of freedom is larger.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.4.4 and 26.4.5: a finite sum.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    tail, power = (math.exp(-half), 1.0) if degrees % 2 == 0 else (math.erfc(math.sqrt(half)), 0.5)
    while power < degrees / 2:
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
        power += 1
    return min(1.0, tail)


def _degrees(first: Histogram, second: Histogram) -> int:
    return int(((first + second) > 0).sum()) - 1


def _scale(first: Histogram, second: Histogram) -> float:
    """Return the number that makes of a divergence a chi-squared variable."""
    return 8 * math.log(2) / (1 / float(first.sum()) + 1 / float(second.sum()))


def _groups(expected: Histogram) -> NDArray[np.int64]:
    """Return the number of the group of each cell, so that each group expects at least FEWEST counts."""
    groups, group, total = np.zeros(len(expected), np.int64), 0, 0.0
    for index, count in enumerate(expected.tolist()):
        groups[index] = group
        total += count
        if total >= FEWEST:
            group, total = group + 1, 0.0
    if group:  # what is left is too little for a group of its own
        groups[groups == group] = group - 1
    return groups
