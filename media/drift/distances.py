"""How far two histograms are apart, and whether chance alone could have made them differ."""

import math
from collections.abc import Iterable, Sequence

Histogram = Sequence[float]

FEWEST = 5.0  # expected count of a cell of the chi-squared test: Cochran, "Some Methods for Strengthening …", 1954


def shares(histogram: Histogram) -> list[float]:
    """Return the counts as shares of their sum, which must not be 0."""
    total = sum(histogram)
    return [count / total for count in histogram]


def divergence(first: Histogram, second: Histogram) -> float:
    """Return the Jensen-Shannon divergence of two histograms in bits (0..1).

    Lin, "Divergence Measures Based on the Shannon Entropy", 1991. Its root is a distance (Endres and Schindelin, "A New
    Metric for Probability Distributions", 2003). Each histogram must have at least one count.
    """
    pairs = list(zip(shares(first), shares(second), strict=True))
    terms = (share * math.log2(share / ((p + q) / 2)) for p, q in pairs for share in (p, q) if share > 0)
    return min(1.0, max(0.0, math.fsum(terms) / 2))


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
    n, m = sum(first), sum(second)
    cells = list(zip(first, second, strict=True))
    if not ordered:
        cells.sort(key=lambda cell: -sum(cell))
    pooled = _pooled(cells, FEWEST * (n + m) / min(n, m))
    if len(pooled) < 2:
        return 1.0
    statistic = math.fsum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b) for a, b in pooled)
    return chi_squared_tail(statistic, len(pooled) - 1)


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
    return sum(a + b > 0 for a, b in zip(first, second, strict=True)) - 1


def _scale(first: Histogram, second: Histogram) -> float:
    """Return the factor that turns a divergence into a chi-squared variable."""
    return 8 * math.log(2) / (1 / sum(first) + 1 / sum(second))


def _pooled(cells: Iterable[tuple[float, float]], fewest: float) -> list[tuple[float, float]]:
    """Add up successive cells until both counts of a pool together are at least `fewest`."""
    pools, a, b = list[tuple[float, float]](), 0.0, 0.0
    for first, second in cells:
        a, b = a + first, b + second
        if a + b >= fewest:
            pools.append((a, b))
            a, b = 0.0, 0.0
    if pools:  # what is left is too little for a pool of its own
        pools[-1] = pools[-1][0] + a, pools[-1][1] + b
    return pools
