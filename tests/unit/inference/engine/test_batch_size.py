"""The choice of a batch size by measured time."""

import pytest

from services.inference.engine.batch_size import batch_sizes, best_batch, time_batches


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (48, (1, 2, 4, 8, 16, 32, 48))]
)
def test_sizes_double_up_to_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}, 8),  # a batch costs as much as one image
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, 1),  # batching gains nothing
        ({1: 1.0, 2: 1.2, 4: 2.0, 8: 3.9, 16: 7.7}, 4),  # the larger batches gain less than 5 %
        ({1: 1.0, 2: 1.2, 4: 2.0, 8: 3.9, 16: 9.0}, 4),  # the largest is even slower
        ({1: 0.0, 2: 0.0}, 2),  # too fast for the clock
    ],
)
def test_the_smallest_batch_near_the_best_throughput_is_chosen(seconds: dict[int, float], best: int) -> None:
    assert best_batch(seconds) == best


def test_a_slow_first_run_and_an_outlier_do_not_count() -> None:
    now, laps = [0.0], iter([9.0, 1.0, 7.0, 1.0, 1.0, 1.0, 9.0, 2.0, 2.0, 2.0, 8.0, 2.0])

    def run(_: int) -> None:
        now[0] += next(laps)

    assert time_batches(run, (1, 2), clock=lambda: now[0]) == {1: 1.0, 2: 2.0}
