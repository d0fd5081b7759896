"""McNemar's test: whether one of two models is better, judged on the same images."""

import math
from typing import Literal, NamedTuple

EXACT_BELOW = 25  # images that only one of the models gets right
SIGNIFICANT = 0.05
_SMALLEST = 1e-4  # a smaller chance is not spelled out


class McNemar(NamedTuple):
    test: Literal["exact", "chi_squared"]
    p_value: float


def mcnemar(better: int, worse: int) -> McNemar:
    """Test whether two models are equally good, given the images that only one or only the other gets right.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947. Below
    25 such images this is the exact two-sided binomial test; otherwise chi-squared with one degree of freedom and the
    continuity correction of Edwards, "Note on the correction for continuity", 1948.
    """
    count, smaller = better + worse, min(better, worse)
    if count < EXACT_BELOW:
        tail = sum(math.comb(count, number) for number in range(smaller + 1))
        return McNemar("exact", min(1.0, 2 * tail / 2**count))
    statistic = max(0, abs(better - worse) - 1) ** 2 / count
    return McNemar("chi_squared", math.erfc(math.sqrt(statistic / 2)))


def statement(model: str, baseline: str, better: int, worse: int, p_value: float) -> str:
    """Say in a few words which model is better, and how likely chance alone would show such a difference."""
    if not better + worse:
        return f"{model} and {baseline} are right and wrong on the same images, so neither is better."
    counts = f"{model} is better than {baseline} on {_images(better)} and worse on {worse}"
    chance = f"chance alone would give such a difference in {_percent(p_value)} of cases"
    if p_value > SIGNIFICANT:
        return f"{counts}; {chance}, so these images do not show which of them is better."
    winner = model if better > worse else baseline
    return f"{counts}; {chance}, so {winner} is the better one."


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"


def _percent(share: float) -> str:
    if share < _SMALLEST:
        return "less than 0.01 %"
    digits = max(0, 1 - math.floor(math.log10(share * 100)))
    return f"{share * 100:.{min(digits, 2)}f} %"
