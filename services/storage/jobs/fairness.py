"""Whose job is claimed next: weighted fair shares of a pool's replicas, as a pure function; see docs/adr/0031."""

from collections.abc import Collection
from dataclasses import dataclass

STRIDE = 1 << 20  # the virtual time that a claim costs a project of weight 1; one of weight 4 pays a quarter
CREDIT = STRIDE  # how much less than others a project may have used before that is forgotten


@dataclass(frozen=True)
class Standing:
    """A project with due jobs in a pool.

    `running` counts its leases in the pool. `turn` is the virtual time of its last claim, None before its first one.
    `age` sorts by the age of the project's first job, the oldest first.
    """

    project: str
    weight: int
    running: int
    turn: int | None
    age: str


@dataclass(frozen=True)
class Choice:
    """The project whose job is claimed, and the virtual time of the claim; None if no other project competes."""

    project: str
    turn: int | None


def choose(standings: Collection[Standing], now: int) -> Choice:
    """Return the project to serve; `now` is the virtual time, the latest turn in the pool.

    A project may claim if it runs less than its share of the replicas, which is proportional to its weight. Of those
    that may, the one with the earliest next turn is served; among equals, the one with the older job. A project that
    had no work for a while does not catch up on what it did not use, except for as many claims as its weight.
    """
    replicas = sum(standing.running for standing in standings) + 1
    weights = sum(standing.weight for standing in standings)
    below_share = [s for s in standings if s.running * weights < s.weight * replicas]  # never empty: one is free
    first = min(below_share, key=lambda standing: (_next_turn(standing, now), standing.age, standing.project))
    return Choice(first.project, _next_turn(first, now))


def _next_turn(standing: Standing, now: int) -> int:
    return now if standing.turn is None else max(now - CREDIT, standing.turn + _cost(standing))


def _cost(standing: Standing) -> int:
    return STRIDE // standing.weight
