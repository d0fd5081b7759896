"""How long to wait before something that died is started again."""

import math

FIRST = 0.5
LONGEST = 30.0
HEALTHY = 60.0


class Backoff:
    """Half a second, doubled at each death up to 30 s, forgotten after 60 s of health."""

    def __init__(self) -> None:
        self._deaths = 0

    def delay(self, uptime: float) -> float:
        """Seconds to wait now that it died after `uptime` seconds."""
        self._deaths = 0 if uptime >= HEALTHY else self._deaths
        seconds = min(LONGEST, math.ldexp(FIRST, min(self._deaths, 16)))
        self._deaths += 1
        return seconds
