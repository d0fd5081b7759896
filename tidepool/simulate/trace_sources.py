"""The built-in load traces, and traces read from CSV files."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from scaling.simulation.trace import Trace
from tidepool.errors import UserFacingError

MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR
COLUMNS = ("seconds", "requests_per_second")
LARGEST = (1e10, 1e9)  # of each column: beyond Unix time, and the limit of --peak
MAX_DAYS = 31  # longer traces have longer steps, and the policy discards its history after a gap of 30 s


def diurnal(peak: float) -> Trace:
    """A day of human traffic: a cosine from 1/20 of the peak at 4:00 to the peak at 16:00."""

    def rate(second: float) -> float:
        return peak * (0.525 - 0.475 * math.cos(2 * math.pi * (second - 4 * HOUR) / DAY))

    return _sampled("diurnal", DAY, MINUTE, rate)


def burst(peak: float) -> Trace:
    """An hour at 1/20 of the peak, with one minute at the peak every ten minutes."""
    return _sampled("burst", HOUR, MINUTE, lambda second: peak if second // MINUTE % 10 == 5 else peak / 20)


def fleet(peak: float) -> Trace:
    """A day of cameras: they start between 7:00 and 7:01, run at the peak, and stop from 19:00 on."""

    def rate(second: float) -> float:
        return peak * max(0.0, min(1.0, (second - 7 * HOUR) / MINUTE, (19 * HOUR + MINUTE - second) / MINUTE))

    return _sampled("fleet", DAY, 1, rate)


TRACES: Mapping[str, Callable[[float], Trace]] = {"diurnal": diurnal, "burst": burst, "fleet": fleet}


def read_trace(path: Path) -> Trace:
    """Read a trace from a CSV file with the columns `seconds,requests_per_second`; raises UserFacingError.

    Seconds must ascend and span `MAX_DAYS` at most. Each rate holds until the next row; the last row marks the end.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise UserFacingError(f"The first line of {path} must name the columns {','.join(COLUMNS)}")
            rows = [
                tuple(_number(path, row, column, largest) for column, largest in zip(COLUMNS, LARGEST, strict=True))
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserFacingError(f"{path} cannot be read as a CSV file in UTF-8") from error
    starts = [second - rows[0][0] for second, _ in rows]
    if len(rows) < 2 or any(after <= before for before, after in pairwise(starts)):
        raise UserFacingError(f"{path} needs at least two rows, with ascending seconds")
    if starts[-1] > MAX_DAYS * DAY:
        raise UserFacingError(f"{path} lasts for {starts[-1] / DAY:,.0f} days; the limit is {MAX_DAYS} days")
    return Trace(path.stem, starts[:-1], [rate for _, rate in rows[:-1]], starts[-1])


def _sampled(name: str, seconds: int, every: int, rate: Callable[[float], float]) -> Trace:
    starts: Sequence[float] = range(0, seconds, every)
    return Trace(name, starts, [rate(start) for start in starts], seconds)


def _number(path: Path, row: dict[str, str], column: str, largest: float) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= largest:  # also false for NaN
        raise UserFacingError(
            f"{path}: {row[column]!r} in the column {column} is not a number from 0 to {largest:,.0f}"
        )
    return value
