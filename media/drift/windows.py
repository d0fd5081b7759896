"""The days that are judged together: one with enough predictions alone, or several."""

from collections.abc import Mapping
from datetime import date, timedelta

from contract.drift import DriftCounts
from media.drift.judgement import ENOUGH

LONGEST = 14  # days

Days = Mapping[date, Mapping[int, DriftCounts]]
"""What each version has counted, by day."""


def window(days: Days, last: date) -> tuple[date, dict[int, DriftCounts]]:
    """Return the first of the days to judge together with `last`, and their sums by version.

    Days before `last` are added until there are ENOUGH predictions, up to LONGEST days in all. The first day is one
    with predictions, or `last`.
    """
    first, sums, predictions = last, dict[int, DriftCounts](), 0
    for number in range(LONGEST):
        if predictions >= ENOUGH:
            break
        day = last - timedelta(days=number)
        for version, counts in days.get(day, {}).items():
            first, predictions = day, predictions + counts.predictions
            sums[version] = sums[version] + counts if version in sums else counts
    return first, sums
