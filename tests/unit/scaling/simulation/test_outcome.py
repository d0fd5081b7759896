from collections import Counter

import pytest

from scaling.simulation.outcome import Outcome


def outcome(began: dict[int, int], waiting: dict[int, int] | None = None, dropped: int = 0) -> Outcome:
    waits, ages = Counter(began), Counter(waiting or {})
    return Outcome(
        arrived=waits.total() + ages.total() + dropped,
        served=waits.total(),
        running=0,
        dropped=dropped,
        began=waits,
        waiting=ages,
        step_s=0.5,
        held_s=7200,
        moments=(),
    )


@pytest.mark.parametrize(("share", "wait"), [(0.5, 0.0), (0.9, 0.0), (0.91, 1.0), (0.99, 1.0), (1.0, 10.0)])
def test_the_wait_is_a_quantile(share: float, wait: float) -> None:
    assert outcome({0: 90, 2: 9, 20: 1}).wait_s(share) == wait


def test_waiting_requests_count() -> None:
    assert outcome({0: 1}, waiting={8: 9}).wait_s(0.5) == 4.0


def test_dropped_requests_have_an_infinite_wait() -> None:
    result = outcome({0: 95}, dropped=5)
    assert (result.wait_s(0.95), result.wait_s(0.96)) == (0.0, float("inf"))


def test_the_share_that_began_within_a_time() -> None:
    result = outcome({0: 4, 2: 4}, waiting={0: 1}, dropped=1)
    assert [result.share_begun_within(seconds) for seconds in (-1, 0, 0.9, 1)] == [0, 0.4, 0.4, 0.8]


def test_an_outcome_without_requests() -> None:
    empty = outcome({})
    assert (empty.wait_s(0.99), empty.share_begun_within(1), empty.mean_wait_s) == (0, 1, 0)


def test_the_mean_wait_and_replica_hours() -> None:
    assert outcome({0: 1, 2: 1}).mean_wait_s == 0.5
    assert outcome({}).replica_hours == 2
