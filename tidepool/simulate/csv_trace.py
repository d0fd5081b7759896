"""The only place that reads a load trace of one's own."""

import csv
import math
from itertools import pairwise
from pathlib import Path

from tidepool.errors import UserFacingError
from tidepool.simulate.trace import Trace
from tidepool.simulate.traces import DAY

COLUMNS = ("seconds", "requests_per_second")
LARGEST = (1e10, 1e9)  # of each column: seconds of today's clocks, and what --peak can be
MOST_DAYS = 31  # the longer a trace, the longer a step, and the policy forgets what it saw half a minute ago


def read_trace(path: Path) -> Trace:
    """A trace from a CSV file with the columns `seconds,requests_per_second`; raises UserFacingError.

    Seconds ascend, for `MOST_DAYS` at most. Each rate holds until the next row; the last row only says where it ends.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise UserFacingError(f"{path} needs a first line with the columns {','.join(COLUMNS)}")
            rows = [tuple(_number(path, row, *each) for each in zip(COLUMNS, LARGEST, strict=True)) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserFacingError(f"{path} cannot be read as CSV: {error}") from error
    starts = [second - rows[0][0] for second, _ in rows]
    if len(rows) < 2 or any(after <= before for before, after in pairwise(starts)):
        raise UserFacingError(f"{path} needs two rows or more, with ascending seconds")
    if starts[-1] > MOST_DAYS * DAY:
        raise UserFacingError(f"{path} lasts for {starts[-1] / DAY:,.0f} days; it may be {MOST_DAYS}")
    return Trace(path.stem, starts[:-1], [rate for _, rate in rows[:-1]], starts[-1])


def _number(path: Path, row: dict[str, str], column: str, largest: float) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= largest:  # nor is NaN
        raise UserFacingError(f"{path}: {row[column]!r} in the column {column} is no number from 0 to {largest:,.0f}")
    return value
