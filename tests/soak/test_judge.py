"""Series that grow are found, and series that only fluctuate are not."""

import random

import pytest

from tests.soak.judge import Point, Tolerance, judge, quantile

HOUR = 3600
MEMORY = Tolerance(share=0.1, absolute=24.0)


def series(value_at, seed: int = 0, every: int = 5) -> list[Point]:
    """Measurements of an hour with noise of up to 3."""
    noise = random.Random(seed)
    return [(float(at), value_at(at) + noise.uniform(-3, 3)) for at in range(0, HOUR, every)]


def test_a_constant_series_is_flat() -> None:
    verdict = judge("memory", series(lambda at: 200), MEMORY)

    assert verdict.flat
    assert verdict.before == pytest.approx(200, abs=1)


def test_a_leak_is_found() -> None:
    # 2 MiB a minute: 60 between the middles of the second and the last quarter
    verdict = judge("memory", series(lambda at: 200 + at / 30), MEMORY)

    assert not verdict.flat
    assert verdict.after - verdict.before == pytest.approx(60, abs=2)


def test_growth_while_caches_fill_is_not_a_leak() -> None:
    assert judge("memory", series(lambda at: 200 + min(at, HOUR / 4) / 10), MEMORY).flat


def test_a_peak_of_a_few_minutes_is_not_a_leak() -> None:
    assert judge("memory", series(lambda at: 900 if 2800 < at < 3000 else 200), MEMORY).flat


def test_a_saw_tooth_is_flat() -> None:
    assert judge("memory", series(lambda at: 100 + at % 300), Tolerance(share=0.2, absolute=10)).flat


def test_a_series_that_falls_is_flat() -> None:
    assert judge("threads", series(lambda at: 50 - at / 100), Tolerance()).flat


def test_the_larger_tolerance_counts() -> None:
    grows = series(lambda at: 1000 + at / 36)  # 50 between the quarters

    assert judge("memory", grows, Tolerance(share=0.1, absolute=1)).flat
    assert judge("memory", grows, Tolerance(share=0.001, absolute=60)).flat
    assert not judge("memory", grows, Tolerance(share=0.001, absolute=1)).flat


def test_what_is_kept_for_each_job_is_allowed() -> None:
    jobs = [(float(at), at / 36) for at in range(0, HOUR, 5)]
    database = series(lambda at: 1000 + at / 3.6)  # 10 for each job

    assert judge("database", database, Tolerance(per_job=12), jobs).flat
    assert not judge("database", database, Tolerance(per_job=8), jobs).flat


def test_a_limit_judges_the_largest_value() -> None:
    grows = series(lambda at: at / 36)

    assert judge("log", grows, Tolerance(limit=110)).flat
    assert not judge("log", grows, Tolerance(limit=90)).flat


def test_a_series_of_one_measurement_is_flat() -> None:
    assert judge("memory", [(0.0, 5.0)], Tolerance()).flat


def test_a_series_without_measurements_is_an_error() -> None:
    with pytest.raises(ValueError, match="memory was never measured"):
        judge("memory", [], MEMORY)


def test_quantiles_are_values_of_the_series() -> None:
    values = [float(value) for value in range(1, 101)]

    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)) == (51.0, 100.0, 0.0)
