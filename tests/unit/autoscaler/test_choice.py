"""Which replicas come and which go."""

import pytest

from contract.supervision import State
from services.autoscaler.choice import Changes, changes
from services.autoscaler.drivers.driver import Replica

S, R, D, X = State.STARTING, State.READY, State.DRAINING, State.STOPPED


def pool(*states: State) -> list[Replica]:
    """Replicas 1, 2, … whose workers are `host:1`, `host:2`, …"""
    return [Replica("trainer", n, state, f"host:{n}") for n, state in enumerate(states, start=1)]


def numbers(found: Changes) -> tuple[list[int], list[int]]:
    """Of those that start and of those that stop."""
    return [replica.number for replica in found.start], [replica.number for replica in found.stop]


@pytest.mark.parametrize(
    ("states", "desired", "start", "stop"),
    [
        ((R, S, X), 2, [], []),
        ((R, X, X, X), 3, [2, 3], []),  # the lowest numbers come first
        ((D, X, X), 1, [2], []),  # who drains is no replica any more, and none yet
        ((R, D), 2, [], []),
        ((R, R), 5, [], []),  # there are no more
        ((X, X), 0, [], []),
        ((R, R, R), 1, [], [3, 2]),  # the highest numbers go first
        ((S, R, R), 2, [], [1]),  # but before them those that only start
        ((R, R), 0, [], [2, 1]),
    ],
)
def test_as_many_as_desired(states: tuple[State, ...], desired: int, start: list[int], stop: list[int]) -> None:
    assert numbers(changes(pool(*states), desired, ())) == (start, stop)


def test_who_holds_a_job_stays_and_another_one_goes() -> None:
    assert numbers(changes(pool(R, R, R), 1, {"host:3"})) == ([], [2, 1])


def test_those_that_are_too_many_rest_where_all_hold_jobs() -> None:
    found = changes(pool(R, R, R), 1, {"host:1", "host:2", "host:3"})
    assert numbers(found) == ([], [])
    assert [replica.number for replica in found.rest] == [3, 2]


def test_fewer_go_than_should_where_some_hold_jobs() -> None:
    found = changes(pool(R, R, R), 0, {"host:2"})
    assert numbers(found) == ([], [3, 1])
    assert [replica.number for replica in found.rest] == [2]


def test_nobody_rests_where_enough_have_nothing_to_do() -> None:
    assert changes(pool(R, R), 1, {"host:1"}).rest == ()


@pytest.mark.parametrize(
    ("worker", "holder", "same"),
    [
        ("host:12", "host:12", True),
        ("host:12", "host:123", False),
        ("3f2a9c", "3f2a9c:7", True),  # a container, whose processes have its name for their host's
        ("3f2a9c", "3f2a9c1:7", False),
    ],
)
def test_a_worker_is_known_by_its_name(worker: str, holder: str, same: bool) -> None:
    assert Replica("trainer", 1, R, worker).holds_one_of({holder, "other:1"}) is same
