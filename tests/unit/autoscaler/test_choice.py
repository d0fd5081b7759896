"""Which replicas are started, stopped and cordoned."""

import pytest

from contract.supervision import State
from services.autoscaler.choice import Changes, changes
from services.autoscaler.drivers.driver import Replica

S, R, D, X = State.STARTING, State.READY, State.DRAINING, State.STOPPED


def pool(*states: State) -> list[Replica]:
    """Replicas 1, 2, … whose workers are `host:1`, `host:2`, …"""
    return [Replica("trainer", n, state, f"host:{n}") for n, state in enumerate(states, start=1)]


def numbers(result: Changes) -> tuple[list[int], list[int]]:
    """Return the numbers of the replicas to start and to stop."""
    return [replica.number for replica in result.start], [replica.number for replica in result.stop]


@pytest.mark.parametrize(
    ("states", "desired", "start", "stop"),
    [
        ((R, S, X), 2, [], []),
        ((R, X, X, X), 3, [2, 3], []),  # the lowest numbers start first
        ((D, X, X), 1, [2], []),  # a draining replica does not count and cannot start
        ((R, D), 2, [], []),
        ((R, R), 5, [], []),  # there are no more replicas
        ((X, X), 0, [], []),
        ((R, R, R), 1, [], [3, 2]),  # the highest numbers stop first
        ((S, R, R), 2, [], [1]),  # but starting replicas stop before them
        ((R, R), 0, [], [2, 1]),
    ],
)
def test_changes_lead_to_the_desired_number(
    states: tuple[State, ...], desired: int, start: list[int], stop: list[int]
) -> None:
    assert numbers(changes(pool(*states), desired, ())) == (start, stop)


def test_a_busy_replica_stays_and_another_is_stopped() -> None:
    assert numbers(changes(pool(R, R, R), 1, {"host:3"})) == ([], [2, 1])


def test_excess_replicas_are_cordoned_if_all_are_busy() -> None:
    result = changes(pool(R, R, R), 1, {"host:1", "host:2", "host:3"})
    assert numbers(result) == ([], [])
    assert [replica.number for replica in result.cordon] == [3, 2]


def test_busy_replicas_are_cordoned_instead_of_stopped() -> None:
    result = changes(pool(R, R, R), 0, {"host:2"})
    assert numbers(result) == ([], [3, 1])
    assert [replica.number for replica in result.cordon] == [2]


def test_no_replica_is_cordoned_if_enough_are_idle() -> None:
    assert changes(pool(R, R), 1, {"host:1"}).cordon == ()


@pytest.mark.parametrize(
    ("worker", "name", "same"),
    [
        ("host:12", "host:12", True),
        ("host:12", "host:123", False),
        ("3f2a9c", "3f2a9c:7", True),  # a container, whose name is the host name of its processes
        ("3f2a9c", "3f2a9c1:7", False),
    ],
)
def test_a_replica_is_matched_by_its_workers_name(worker: str, name: str, same: bool) -> None:
    assert Replica("trainer", 1, R, worker).is_one_of({name, "other:1"}) is same


def test_replicas_in_a_seat_are_stopped_after_idle_ones_and_before_leaders() -> None:
    helping = {"host:2", "host:3"}

    assert numbers(changes(pool(R, R, R, R), 3, {"host:1"}, helping)) == ([], [4])
    assert numbers(changes(pool(R, R, R, R), 1, {"host:1"}, helping)) == ([], [4, 3, 2])
