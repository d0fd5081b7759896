"""Judge whether a series of measurements stayed flat: the medians of its second and its last quarter are compared."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]  # seconds since the start, value


@dataclass(frozen=True)
class Tolerance:
    """How much the median may grow: a share of the earlier one, or an absolute amount, whichever is more.

    `per_job` is allowed on top for each job that ended between the two quarters, for what is kept by design. With
    `limit`, only the largest value counts: for series that grow and are cut back, such as logs.
    """

    share: float = 0.0
    absolute: float = 0.0
    per_job: float = 0.0
    limit: float | None = None

    def __str__(self) -> str:
        if self.limit is not None:
            return f"at most {self.limit:g}"
        per_job = f" + {self.per_job:g} a job" if self.per_job else ""
        return f"+{self.share:.0%} or +{self.absolute:g}{per_job}"


@dataclass(frozen=True)
class Verdict:
    """The two medians, or the first median and the largest value, and the largest that is allowed."""

    series: str
    before: float
    after: float
    allowed: float
    tolerance: str

    @property
    def flat(self) -> bool:
        return self.after <= self.allowed


def judge(name: str, points: Sequence[Point], tolerance: Tolerance, jobs: Sequence[Point] = ()) -> Verdict:
    """Compare the quarters of a series by time; `jobs` is how many jobs had ended. Raises ValueError without points."""
    if not points:
        raise ValueError(f"{name} was never measured")
    before, after = _median(points, 1), _median(points, 3)
    if tolerance.limit is not None:
        return Verdict(name, before, max(value for _, value in points), tolerance.limit, str(tolerance))
    ended = max(0.0, _median(jobs, 3) - _median(jobs, 1)) if jobs else 0.0
    allowed = before + max(tolerance.share * abs(before), tolerance.absolute) + tolerance.per_job * ended
    return Verdict(name, before, after, allowed, str(tolerance))


def _median(points: Sequence[Point], quarter: int) -> float:
    """Return the median of a quarter (0 to 3) of the time; of the nearest points if it has none."""
    first, last = points[0][0], points[-1][0]
    length = (last - first) / 4
    begin = first + quarter * length
    inside = [value for at, value in points if begin <= at <= begin + length]
    if not inside:
        inside = [min(points, key=lambda point: abs(point[0] - begin - length / 2))[1]]
    return statistics.median(inside)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
