"""How fast a count grows."""

import pytest

from messaging.rate import WINDOW_S, Rate
from tests.unit.messaging.test_busy import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_steady_growth(clock: Clock) -> None:
    rate = Rate(clock)

    for second in range(1, 31):
        clock.now += 1
        assert rate.of(5 * second) == pytest.approx(5)


def test_what_was_long_ago_is_forgotten(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 1
    assert rate.of(100) == 100

    for _ in range(int(WINDOW_S) + 1):
        clock.now += 1
        last = rate.of(100)

    assert last == 0


def test_a_burst_in_the_first_moment_is_no_huge_rate(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 0.001

    assert rate.of(3) == 3


def test_after_a_long_silence(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 1000

    assert rate.of(7) == pytest.approx(0.007)
