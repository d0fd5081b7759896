"""The interval of a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.judging.intervals import wilson_interval


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # scipy.stats.binomtest(hits, count).proportion_ci(method="wilson"), SciPy 1.17.1
        (0, 10, 0.0, 0.27753279986288926),
        (10, 10, 0.7224672001371109, 1.0),
        (7, 10, 0.39677814746114526, 0.892208732593699),
        (873, 1000, 0.8509252474282143, 0.8922199907415616),
        (1, 1, 0.20654931437723745, 1.0),
        (50, 100, 0.4038315303659956, 0.5961684696340044),
    ],
)
def test_the_interval_is_that_of_scipy(hits: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(hits, count) == pytest.approx((low, high), abs=1e-12)


@given(st.integers(1, 10**7).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_holds_the_share_and_narrows_with_more_images(case: tuple[int, int]) -> None:
    hits, count = case
    low, high = wilson_interval(hits, count)
    narrow = wilson_interval(10 * hits, 10 * count)

    assert 0 <= low <= hits / count <= high <= 1
    assert narrow[1] - narrow[0] < high - low
