"""The only place that turns simulated requests into what the autoscaler measures."""

from collections import deque
from typing import NamedTuple

from contract.pools import Measured

MEASURED_OVER_S = 10.0


class Seen(NamedTuple):
    """Sums over the steps since the last decision."""

    arrived: int = 0
    busy: int = 0
    seats: int = 0


class Gauge:
    """The busy share and the rate of requests over the last `MEASURED_OVER_S` seconds."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._seen: deque[Seen] = deque(maxlen=max(1, round(MEASURED_OVER_S / interval_s)))

    def read(self, seen: Seen, *, at: float, ready: int, waiting: int, leases: int, oldest_s: float) -> Measured:
        """What is measured at the second `at`, after another interval of which the sums were `seen`."""
        self._seen.append(seen)
        arrived, busy, seats = (sum(column) for column in zip(*self._seen, strict=True))
        return Measured(
            at=at,
            ready=ready,
            waiting=waiting,
            running=leases,
            oldest_s=oldest_s,
            busy=min(1.0, busy / seats) if seats else None,
            requests_per_minute=60 * arrived / (len(self._seen) * self._interval_s),
        )
