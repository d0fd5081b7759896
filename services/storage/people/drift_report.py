"""Reports on the drift of an alias from the counts of its versions."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from contract.drift import (
    AliasDrift,
    DetailedDifference,
    Difference,
    DriftAlarm,
    DriftCounts,
    DriftDay,
    DriftReference,
    DriftState,
    ReviewedAccuracy,
)
from contract.references import Reference
from media.drift.expected import Served, estimated_accuracy
from media.drift.judgement import FEWEST, differences
from media.drift.windows import LONGEST, Days, window
from media.judging.intervals import wilson_interval

References = Mapping[int, DriftReference | None]
"""The reference of each version of an alias, None for a version without one."""


class Reviewed(NamedTuple):
    """An image of the random sample whose class a person has decided, and whether the model was right."""

    day: date
    right: bool


def report(
    model: str,
    alias: str,
    references: References,
    counts: Days,
    reviewed: Sequence[Reviewed],
    today: date,
    days: int,
) -> AliasDrift:
    """Report on the `days` up to today."""
    since, sums = window(counts, today)
    served = _served(sums, references)
    compared = differences(served)
    predictions = sum(version.predictions for version in sums.values())
    state, reason = _state(model, references, predictions, compared)
    return AliasDrift(
        model=model,
        alias=alias,
        versions=tuple(references),
        without_reference=_without_reference(model, references),
        state=state,
        reason=reason,
        since=since,
        predictions=predictions,
        differences=compared,
        estimated=estimated_accuracy(served),
        reviewed=_accuracy(reviewed),
        days=tuple(
            _day(day, counts, references, reviewed)
            for day in (today - timedelta(days=number) for number in reversed(range(days)))
            if day in counts
        ),
    )


def alarm_of(model: str, alias: str, references: References, counts: Days, today: date) -> DriftAlarm | None:
    """Return the alarm of an alias, if its requests have changed."""
    since, sums = window(_of_versions(counts, references), today)
    alarms = [difference for difference in differences(_served(sums, references)) if _is_alarm(difference)]
    if not alarms:
        return None
    statistics = tuple(difference.statistic for difference in alarms)
    return DriftAlarm(model=model, alias=alias, since=since, statistics=statistics, reason=_reason(alarms))


def _day(day: date, counts: Days, references: References, reviewed: Sequence[Reviewed]) -> DriftDay:
    since, sums = window(counts, day)
    compared = differences(_served(sums, references))
    estimated = estimated_accuracy(_served(counts[day], references))
    return DriftDay(
        day=day,
        predictions=sum(version.predictions for version in counts[day].values()),
        since=since,
        estimate=None if estimated is None else estimated.estimate,
        reviewed=_accuracy([answer for answer in reviewed if answer.day == day]),
        alarm=any(map(_is_alarm, compared)),
        differences=tuple(
            Difference.model_validate(difference.model_dump(exclude={"summary", "bins"})) for difference in compared
        ),
    )


def _of_versions(counts: Days, references: References) -> Days:
    """Return the days on which one of the versions has counted."""
    own = {day: {v: one for v, one in versions.items() if v in references} for day, versions in counts.items()}
    return {day: versions for day, versions in own.items() if versions}


def _served(sums: Mapping[int, DriftCounts], references: References) -> list[Served]:
    pairs = ((counts, references[version]) for version, counts in sums.items())
    return [Served(counts, reference) for counts, reference in pairs if reference is not None]


def _state(
    model: str, references: References, predictions: int, compared: Sequence[DetailedDifference]
) -> tuple[DriftState, str]:
    if not any(references.values()):
        names = " and ".join(_without_reference(model, references))
        return "no_reference", (
            f"there is nothing to compare with: {names} has no statistics of validation images; train the model again, "
            "on a dataset with validation images"
        )
    if not compared:
        return "too_few", (
            f"{predictions} predictions in the last {LONGEST} days are too few to compare; {FEWEST} are needed"
        )
    if alarms := [difference for difference in compared if _is_alarm(difference)]:
        return "alarm", _reason(alarms)
    return "steady", "the requests look like the validation images, as far as these statistics can tell"


def _reason(alarms: Sequence[DetailedDifference]) -> str:
    return "; ".join(f"{difference.statistic}: {difference.summary}" for difference in alarms)


def _is_alarm(difference: Difference) -> bool:
    return difference.changed and difference.alarms


def _without_reference(model: str, references: References) -> tuple[str, ...]:
    missing = (version for version, reference in references.items() if reference is None)
    return tuple(str(Reference(name=model, version=version)) for version in missing)


def _accuracy(reviewed: Sequence[Reviewed]) -> ReviewedAccuracy | None:
    if not reviewed:
        return None
    right = sum(answer.right for answer in reviewed)
    interval = wilson_interval(right, len(reviewed))
    return ReviewedAccuracy(reviewed=len(reviewed), right=right, accuracy=right / len(reviewed), interval=interval)
