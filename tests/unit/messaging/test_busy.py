"""Seconds of work are counted by use."""

from contract.usage import Purpose, Use
from messaging.busy import Busy

CAT, DOG = Use(Purpose.ONLINE, "cat"), Use(Purpose.ONLINE, "dog")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_seconds_are_taken_once_by_use() -> None:
    clock = Clock()
    busy = Busy(clock)
    for use, seconds in ((CAT, 2.0), (DOG, 1.0), (CAT, 3.0)):
        busy.begin(use)
        clock.now += seconds
        busy.end(use)
        clock.now += 10

    assert busy.total() == 6.0
    assert busy.take() == {CAT: 5.0, DOG: 1.0}
    assert busy.take() == {}
    assert busy.total() == 6.0


def test_unfinished_work_counts_up_to_now() -> None:
    clock = Clock()
    busy = Busy(clock)
    busy.begin(CAT)
    clock.now += 4

    assert busy.working
    assert (busy.total(), busy.take()) == (4.0, {CAT: 4.0})

    clock.now += 1
    busy.end(CAT)
    assert not busy.working
    assert (busy.total(), busy.take()) == (5.0, {CAT: 1.0})


def test_overlapping_uses_share_the_seconds() -> None:
    clock = Clock()
    busy = Busy(clock)
    busy.begin(CAT)
    clock.now += 2
    busy.begin(DOG)
    clock.now += 4
    busy.end(CAT)
    assert busy.working
    clock.now += 1
    busy.end(DOG)

    assert busy.total() == 7.0
    assert busy.take() == {CAT: 4.0, DOG: 3.0}
