"""Small charts that the server draws, as numbers for attributes of SVG."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

WIDTH, HEIGHT, TOP = 220, 44, 3


class Column(NamedTuple):
    """A column of a chart: its place and width, the height of the value and of the background, and its title."""

    x: float
    width: float
    height: float
    back: float
    title: str


class Spark(NamedTuple):
    """A chart of columns, or of a line with the area below it; empty if there is nothing to show."""

    columns: tuple[Column, ...] = ()
    line: str = ""
    area: str = ""


def columns(values: Sequence[float], behind: Sequence[float], titles: Sequence[str]) -> Spark:
    """Draw values as columns in front of others: the largest possible values, or those to compare with."""
    top = max([*values, *behind, 0.0])
    if not top:
        return Spark()
    slot = WIDTH / len(values)
    bars = (
        Column(
            x=round((number + 0.08) * slot, 1),
            width=round(0.84 * slot, 1),
            height=round(value / top * HEIGHT, 1),
            back=round((back if any(behind) else top) / top * HEIGHT, 1),
            title=title,
        )
        for number, (value, back, title) in enumerate(zip(values, behind, titles, strict=True))
    )
    return Spark(columns=tuple(bars))


def line(values: Sequence[float], most: float = 0.0) -> Spark:
    """Draw values as a line from 0 to their maximum, or to `most` if that is more."""
    top = max([*values, most])
    if len(values) < 2 or top <= 0:
        return Spark()
    points = [
        (number * WIDTH / (len(values) - 1), HEIGHT - value / top * (HEIGHT - TOP))
        for number, value in enumerate(values)
    ]
    return _path(points)


def steps(changes: Sequence[tuple[float, str, int]], current: Mapping[str, int], now: datetime) -> Spark:
    """Draw how the sum of several counts has changed, from (time, name, count) in order of time, until now."""
    if not changes:
        return Spark()
    counts: dict[str, int] = {}
    since = changes[0][0]
    until = max(now.timestamp(), since + 1)
    sums: list[tuple[float, int]] = []
    for at, name, count in changes:
        counts[name] = count
        total = sum(counts.get(other, current[other]) for other in current)
        if sums:
            sums.append((at, sums[-1][1]))
        sums.append((at, total))
    sums.append((until, sum(current.values())))
    top = max(1, *(total for _, total in sums))
    points = [((at - since) / (until - since) * WIDTH, HEIGHT - total / top * (HEIGHT - TOP)) for at, total in sums]
    return _path(points)


def _path(points: Sequence[tuple[float, float]]) -> Spark:
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Spark(line=line, area=f"{line}L{points[-1][0]:.1f} {HEIGHT}L{points[0][0]:.1f} {HEIGHT}Z")
