"""Decides whether requests have changed, and says it in words."""

import math
from collections.abc import Iterator, Sequence

from contract.drift import DetailedDifference, DriftBin, NumberStatistic, StatisticName
from media.drift.bins import names_of, typical
from media.drift.distances import Histogram, divergence, divergence_by_chance, divergence_error, p_value, shares
from media.drift.expected import Served, histograms

ALARMING: tuple[StatisticName, ...] = ("classes", "confidence", "brightness", "sharpness")
SHOWN: tuple[StatisticName, ...] = ("width", "height")  # clients may resize images, which harms only if it blurs them
FEWEST = 100  # images of a statistic; fewer are not judged
ENOUGH = 500  # predictions of a day to be judged alone
DISTANCE = 0.1  # beyond chance
MARGIN = 2.5  # standard deviations by which it must be more, since a look at the counts comes often
SIGNIFICANCE = 0.001  # for all statistics of a window together
MOST_CLASSES = 30  # in a response

_NUMBERS: dict[StatisticName, NumberStatistic] = {
    "confidence": "confidence",
    "brightness": "brightness",
    "sharpness": "sharpness",
    "width": "width",
    "height": "height",
}
_WORDS: dict[StatisticName, tuple[str, str, str]] = {
    "confidence": (
        "the model is less confident",
        "the model is more confident",
        "the scores are distributed differently",
    ),
    "brightness": ("the images are darker", "the images are brighter", "brightness is distributed differently"),
    "sharpness": ("the images are less sharp", "the images are sharper", "sharpness is distributed differently"),
    "width": ("the images are narrower", "the images are wider", "widths are distributed differently"),
    "height": ("the images are shorter", "the images are taller", "heights are distributed differently"),
}


def differences(served: Sequence[Served]) -> tuple[DetailedDifference, ...]:
    """Compare the requests of versions with their references, statistic by statistic.

    A statistic has changed if its distance is surely over DISTANCE more than by chance (as divergences, which add up),
    and if chi-squared is significant. With many images, chi-squared finds the smallest difference, and the first
    condition decides. Each of the alarming statistics gets its part of SIGNIFICANCE (Bonferroni).
    Statistics with fewer than FEWEST images are left out.
    """
    labels = sorted({label for one in served for label in (*one.counts.classes, *one.reference.classes)})
    return tuple(_differences(served, labels))


def _differences(served: Sequence[Served], labels: Sequence[str]) -> Iterator[DetailedDifference]:
    for statistic in (*ALARMING, *SHOWN):
        observed, reference = histograms(served, statistic, labels)
        if sum(observed) < FEWEST:
            continue
        bits, by_chance = divergence(observed, reference), divergence_by_chance(observed, reference)
        chance = p_value(observed, reference, ordered=statistic != "classes")
        least = DISTANCE**2 + MARGIN * divergence_error(observed, reference, DISTANCE**2)
        changed = bits - by_chance > least and chance < SIGNIFICANCE / len(ALARMING)
        yield DetailedDifference(
            statistic=statistic,
            images=int(sum(observed)),
            distance=math.sqrt(bits),
            by_chance=math.sqrt(by_chance),
            p_value=chance,
            changed=changed,
            alarms=statistic in ALARMING,
            summary=_summary(statistic, observed, reference, labels) if changed else "no change",
            bins=_bins(statistic, observed, reference, labels),
        )


def _summary(statistic: StatisticName, observed: Histogram, reference: Histogram, labels: Sequence[str]) -> str:
    if statistic == "classes":
        now, before = shares(observed), shares(reference)
        index = max(range(len(labels)), key=lambda number: abs(now[number] - before[number]))
        return f"{labels[index]!r} is {now[index]:.1%} of the answers instead of {before[index]:.1%}".replace("%", " %")
    number = _NUMBERS[statistic]
    usual, usual_before = typical(number, observed), typical(number, reference)
    lower, higher, other = _WORDS[statistic]
    if usual == usual_before:
        return other
    values = f"typically {_number(statistic, usual)} instead of {_number(statistic, usual_before)}"
    return f"{lower if usual < usual_before else higher}: {values}"


def _number(statistic: StatisticName, value: float) -> str:
    if statistic in ("width", "height"):
        return f"{value:.0f} pixels"
    return f"{value:.2f}" if statistic == "confidence" else f"{value:.3g}"


def _bins(
    statistic: StatisticName, observed: Histogram, reference: Histogram, labels: Sequence[str]
) -> tuple[DriftBin, ...]:
    """Return the shares by bin: those between the first and the last one with a count, or the largest classes."""
    pairs = list(zip(shares(reference), shares(observed), strict=True))
    if statistic != "classes":
        used = [number for number, pair in enumerate(pairs) if any(pair)]
        rows = zip(names_of(_NUMBERS[statistic]), pairs, strict=True)
        return tuple(_bin(name, *pair) for name, pair in list(rows)[used[0] : used[-1] + 1])
    ordered = sorted(zip(labels, pairs, strict=True), key=lambda row: -max(row[1]))
    bins = [_bin(label, *pair) for label, pair in ordered[:MOST_CLASSES]]
    if rest := ordered[MOST_CLASSES:]:
        before, now = zip(*(pair for _, pair in rest), strict=True)
        bins.append(_bin(f"{len(rest)} others", sum(before), sum(now)))
    return tuple(bins)


def _bin(name: str, reference: float, observed: float) -> DriftBin:
    return DriftBin(bin=name, reference=min(1.0, reference), observed=min(1.0, observed))
