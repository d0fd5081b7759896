"""How soon drift is noticed, and how often undisturbed days raise an alarm, on images of CIFAR-10."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import Line, table
from benchmarks.people.drift_world import Answered, World, build, read
from contract.drift import DriftCounts, DriftReference, StatisticName
from media.drift.expected import Served
from media.drift.judgement import differences
from media.drift.windows import window

DAYS = 20  # undisturbed
BEFORE = 3  # days before a disturbance
MOST = 10_000  # images after which a disturbance counts as missed
LOOKS = 40  # at the counts, a day; replicas write more often, but without new images nothing changes
NEW = "truck"  # the class that the second model does not know
START = date(2026, 1, 1)

Pick = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""Draws the numbers of some images."""


@dataclass(frozen=True)
class Traffic:
    """What clients send: images of `answered`, drawn by `pick`."""

    answered: Answered
    pick: Pick


def simulate_drift(archive: Path, seeds: int = 20, per_day: Sequence[int] = (300, 2_000, 20_000)) -> list[Line]:
    """Return a row for each kind of traffic, number of requests a day, and begin of the disturbance.

    `archive` is cifar10.zip. Of disturbances: `detected` of `seeds`, the median and the most `images` until the alarm,
    counted from the first disturbed one, and the `statistics` that raised it. Of undisturbed traffic: `false_alarms`
    (days with an alarm) in `days`.
    """
    classes, splits = read(archive)
    plain, lacking = build(classes, splits), build(classes, splits, without=NEW)
    return [
        row
        for number in per_day
        for row in (*_undisturbed(plain, seeds, number), *_disturbed(plain, lacking, seeds, number))
    ]


def _undisturbed(world: World, seeds: int, per_day: int) -> Iterator[Line]:
    """Simulate days of traffic like the validation images, and of days that differ a little, as real ones do."""
    answered, reference = world.requests["as taken"], world.validation.reference()
    for name, swing in (("undisturbed", False), ("undisturbed, days differ by 10 %", True)):
        alarms = 0
        for seed in range(seeds):
            random = np.random.default_rng((seed, per_day))
            clock = _Counted(reference)
            for day in range(DAYS):
                traffic = Traffic(answered, _day(answered, random) if swing else _any(answered))
                looks = [clock.look(START + timedelta(days=day)) for _ in clock.day(random, day, per_day, traffic)]
                alarms += any(looks)
        yield {"what": name, "per_day": per_day, "days": DAYS * seeds, "false_alarms": alarms}


def _disturbed(plain: World, lacking: World, seeds: int, per_day: int) -> Iterator[Line]:
    taken = plain.requests["as taken"]
    calm = Traffic(taken, _any(taken))
    for name in ("darker", "brighter", "blurred"):
        changed = plain.requests[name]
        yield from _detections(name, plain, calm, lambda _, c=changed: Traffic(c, _any(c)), seeds, per_day)
    yield from _detections(
        "a class is missing",
        plain,
        calm,
        lambda seed: Traffic(taken, _without(taken, seed % len(taken.classes))),
        seeds,
        per_day,
    )
    other = lacking.requests["as taken"]
    known = Traffic(other, _without(other, len(other.classes)))
    for share in (0.1, 0.2, 0.5):
        mixed = Traffic(other, _mixed(other, len(other.classes), share))
        yield from _detections(
            f"a new class, {share:.0%} of the images", lacking, known, lambda _, m=mixed: m, seeds, per_day
        )


def _detections(
    name: str, world: World, calm: Traffic, disturbed: Callable[[int], Traffic], seeds: int, per_day: int
) -> Iterator[Line]:
    """Simulate a disturbance that begins with a day, and one that begins at noon."""
    for begins in ("midnight", "noon"):
        delays, raised = list[int](), Counter[StatisticName]()
        for seed in range(seeds):
            delay, statistics_raised = _until_alarm(world, calm, disturbed(seed), seed, per_day, begins == "noon")
            delays += [] if delay is None else [delay]
            raised.update(statistics_raised)
        yield {
            "what": name,
            "per_day": per_day,
            "begins": begins,
            "seeds": seeds,
            "detected": len(delays),
            "median_images": statistics.median(delays) if delays else None,
            "most_images": max(delays, default=None),
            "statistics": dict(raised),
        }


def _until_alarm(
    world: World, calm: Traffic, disturbed: Traffic, seed: int, per_day: int, noon: bool
) -> tuple[int | None, tuple[StatisticName, ...]]:
    """Return the disturbed images until an alarm, None if there were MOST without one, and what raised it."""
    random = np.random.default_rng((seed, per_day, 1))
    clock = _Counted(world.validation.reference())
    for day in range(BEFORE):
        for _ in clock.day(random, day, per_day, calm):
            pass
    images, day = 0, BEFORE
    if noon:
        for _ in clock.day(random, day, per_day // 2, calm):
            pass
    while images < MOST:
        count = per_day // 2 if noon and day == BEFORE else per_day
        for sent in clock.day(random, day, count, disturbed):
            images += sent
            if alarms := clock.look(START + timedelta(days=day)):
                return images, alarms
        day += 1
    return None, ()


class _Counted:
    """The counts of one model version by day, with the rule that judges them."""

    def __init__(self, reference: DriftReference) -> None:
        self._reference = reference
        self._days: dict[date, dict[int, DriftCounts]] = {}

    def day(self, random: np.random.Generator, number: int, images: int, traffic: Traffic) -> Iterator[int]:
        """Count the images of a day or a part of it; yields their number after each part."""
        day = START + timedelta(days=number)
        for part in np.array_split(np.arange(images), min(LOOKS, images)):
            counts = traffic.answered.counts(traffic.pick(random, len(part)))
            stored = self._days.get(day)
            self._days[day] = {1: stored[1] + counts if stored else counts}
            yield len(part)

    def look(self, day: date) -> tuple[StatisticName, ...]:
        """Return the statistics that raise an alarm."""
        _, sums = window(self._days, day)
        rows = differences([Served(counts, self._reference) for counts in sums.values()])
        return tuple(row.statistic for row in rows if row.changed and row.alarms)


def _any(answered: Answered) -> Pick:
    return lambda random, count: random.integers(0, len(answered), count)


def _from(numbers: NDArray[np.int64]) -> Pick:
    return lambda random, count: numbers[random.integers(0, len(numbers), count)]


def _without(answered: Answered, label: int) -> Pick:
    return _from(np.flatnonzero(answered.true != label))


def _mixed(answered: Answered, label: int, share: float) -> Pick:
    """Draw that share of the images from one class, and the others from the rest."""
    others, new = _without(answered, label), _from(np.flatnonzero(answered.true == label))

    def pick(random: np.random.Generator, count: int) -> NDArray[np.int64]:
        number = int(random.binomial(count, share))
        return np.concatenate([others(random, count - number), new(random, number)])

    return pick


def _day(answered: Answered, random: np.random.Generator) -> Pick:
    """Draw the images of a day whose classes are about 10 % more or less frequent, and whose light differs a little."""
    classes = int(answered.true.max()) + 1
    mix = random.normal(1, 0.1, classes).clip(0.5)
    light = (answered.brightness - answered.brightness.mean()) / answered.brightness.std()
    weights = mix[answered.true] * np.exp(random.normal(0, 0.1) * light)
    cumulated = np.cumsum(weights / weights.sum())
    return lambda random, count: np.searchsorted(cumulated, random.random(count)).clip(0, len(answered) - 1)


def lines(rows: Sequence[Line]) -> list[str]:
    """Return the tables of a page."""
    calm = [row for row in rows if "days" in row]
    page = table(
        ("traffic", "> requests a day", "> days", "> days with an alarm"),
        ((row["what"], f"{row['per_day']:,}", str(row["days"]), str(row["false_alarms"])) for row in calm),
    )
    return page + table(
        ("disturbance", "> requests a day", "begins at", "> noticed", "> images, median", "> at most", "by"),
        (
            (
                row["what"],
                f"{row['per_day']:,}",
                row["begins"],
                f"{row['detected']} of {row['seeds']}",
                "–" if row["median_images"] is None else f"{row['median_images']:,.0f}",
                "–" if row["most_images"] is None else f"{row['most_images']:,}",
                ", ".join(sorted(row["statistics"], key=lambda name: -row["statistics"][name])),
            )
            for row in rows
            if "days" not in row
        ),
    )
