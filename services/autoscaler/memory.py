"""The only place for what the scaling policy must remember from one decision to the next."""

from dataclasses import dataclass, replace
from typing import Self

LOST_SIGHT_S = 30.0  # after such a gap nobody knows how long the pool was quiet; KEDA looks as rarely by default


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many replicas the load asked for at one moment."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What was decided last, since when there is no work, and what was wanted of late: falling, as only that counts."""

    desired: int
    at: float
    idle_since: float | None = None
    wanted: tuple[Wanted, ...] = ()

    @classmethod
    def fresh(cls, desired: int, now: float) -> Self:
        """Know only how many replicas there shall be, which counts as wanted, as when the HPA's controller starts."""
        return cls(desired=desired, at=now, wanted=(Wanted(now, desired),))

    @property
    def most_wanted(self) -> int:
        return self.wanted[0].replicas if self.wanted else 0

    def looking(self, now: float) -> Self:
        """Go on, or start afresh if nobody has looked for `LOST_SIGHT_S`."""
        return self.fresh(self.desired, now) if now - self.at > LOST_SIGHT_S else replace(self, at=now)

    def noting(self, replicas: int, within_s: float, idle: bool) -> Self:
        """Add what is wanted now, and forget what was wanted longer ago than `within_s` seconds."""
        recent = [each for each in self.wanted if each.at >= self.at - within_s and each.replicas > replicas]
        since = (self.at if self.idle_since is None else self.idle_since) if idle else None
        return replace(self, idle_since=since, wanted=(*recent, Wanted(self.at, replicas)))

    def deciding(self, desired: int) -> Self:
        """Keep what was decided."""
        return self if desired == self.desired else replace(self, desired=desired)
