"""The growth rate of a counter."""

import pytest

from messaging.rate import WINDOW_S, Rate
from tests.unit.messaging.test_busy import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_steady_growth_has_a_constant_rate(clock: Clock) -> None:
    rate = Rate(clock)

    for second in range(1, 31):
        clock.now += 1
        assert rate.of(5 * second) == pytest.approx(5)


def test_growth_before_the_window_does_not_count(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 1
    assert rate.of(100) == 100

    for _ in range(int(WINDOW_S) + 1):
        clock.now += 1
        last = rate.of(100)

    assert last == 0


def test_a_burst_right_after_the_start_is_averaged_over_a_second(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 0.001

    assert rate.of(3) == 3


def test_after_a_long_pause_the_rate_is_that_of_the_pause(clock: Clock) -> None:
    rate = Rate(clock)
    clock.now += 1000

    assert rate.of(7) == pytest.approx(0.007)
