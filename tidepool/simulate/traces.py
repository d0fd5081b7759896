"""The load traces that `tidepool simulate` brings along."""

import math
from collections.abc import Callable, Mapping, Sequence

from tidepool.simulate.trace import Trace

MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR


def diurnal(peak: float) -> Trace:
    """A day of people: a cosine from a twentieth of the peak at 4:00 to the peak at 16:00."""

    def rate(second: float) -> float:
        return peak * (0.525 - 0.475 * math.cos(2 * math.pi * (second - 4 * HOUR) / DAY))

    return _sampled("diurnal", DAY, MINUTE, rate)


def burst(peak: float) -> Trace:
    """An hour at a twentieth of the peak, with a minute at the peak every ten minutes."""
    return _sampled("burst", HOUR, MINUTE, lambda second: peak if second // MINUTE % 10 == 5 else peak / 20)


def fleet(peak: float) -> Trace:
    """A day of cameras: nothing until they wake between 7:00 and 7:01, the peak until they sleep from 19:00 on."""

    def rate(second: float) -> float:
        return peak * max(0.0, min(1.0, (second - 7 * HOUR) / MINUTE, (19 * HOUR + MINUTE - second) / MINUTE))

    return _sampled("fleet", DAY, 1, rate)


TRACES: Mapping[str, Callable[[float], Trace]] = {"diurnal": diurnal, "burst": burst, "fleet": fleet}


def _sampled(name: str, seconds: int, every: int, rate: Callable[[float], float]) -> Trace:
    starts: Sequence[float] = range(0, seconds, every)
    return Trace(name, starts, [rate(start) for start in starts], seconds)
