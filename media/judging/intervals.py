"""Intervals of a share."""

import math

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, `hits` of at least one `count`.

    The score interval of Wilson, "Probable inference, the law of succession, and statistical inference", 1927, without
    continuity correction; also good for few images and for shares near 0 and 1 (Brown, Cai and DasGupta, 2001).
    """
    share, square = hits / count, Z95**2 / count
    middle = (share + square / 2) / (1 + square)
    half = Z95 / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))
