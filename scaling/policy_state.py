"""The state that the scaling policy carries from one decision to the next."""

from dataclasses import dataclass, replace
from typing import Self

MAX_GAP_S = 30.0  # after a longer gap the history is unknown; KEDA's default polling interval is as long


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The number of replicas that the load required at one moment (`at`, in seconds)."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class PolicyState:
    """The last decision, the start of idleness, and the recommendations within the stabilization window.

    `recommendations` is strictly decreasing: an earlier one that is not larger than a later one cannot be the maximum.
    """

    desired: int
    at: float
    idle_since: float | None = None
    recommendations: tuple[Recommendation, ...] = ()

    @classmethod
    def initial(cls, desired: int, now: float) -> Self:
        """Start with the current count as the only recommendation, as the HPA's controller does."""
        return cls(desired=desired, at=now, recommendations=(Recommendation(now, desired),))

    @property
    def largest_recommendation(self) -> int:
        return self.recommendations[0].replicas if self.recommendations else 0

    def advanced_to(self, now: float) -> Self:
        """Return the state at `now`, or an initial one if the last decision is over `MAX_GAP_S` ago."""
        return self.initial(self.desired, now) if now - self.at > MAX_GAP_S else replace(self, at=now)

    def with_recommendation(self, replicas: int, within_s: float, idle: bool) -> Self:
        """Add a recommendation and drop those older than `within_s` seconds."""
        oldest = self.at - within_s
        recent = [item for item in self.recommendations if item.at >= oldest and item.replicas > replicas]
        since = (self.at if self.idle_since is None else self.idle_since) if idle else None
        return replace(self, idle_since=since, recommendations=(*recent, Recommendation(self.at, replicas)))

    def with_decision(self, desired: int) -> Self:
        return self if desired == self.desired else replace(self, desired=desired)
