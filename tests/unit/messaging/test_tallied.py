"""A tallied histogram shows what a plain one shows."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from messaging import tallied
from messaging.tallied import TalliedHistogram

BUCKETS = (0.5, 1, 2.5)


def samples(kind: type[Histogram], values: list[float]) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    histogram = kind("seconds", "Time.", ["model"], buckets=BUCKETS, registry=registry)
    for value in values:
        histogram.labels("cat").observe(value)
    (family,) = registry.collect()
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for sample in family.samples
        if "created" not in sample.name
    }


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 100.0]), max_size=20))
def test_it_shows_the_same_samples(values: list[float]) -> None:
    assert samples(TalliedHistogram, values) == samples(Histogram, values)


def test_it_keeps_few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallied, "MOST", 10)
    histogram = TalliedHistogram("seconds", "Time.", registry=None)

    for _ in range(1000):
        histogram.observe(1.0)

    assert len(histogram._values) < 10


def test_no_value_is_lost_when_threads_observe_and_read() -> None:
    registry = CollectorRegistry()
    histogram = TalliedHistogram("seconds", "Time.", buckets=BUCKETS, registry=registry)

    def observe() -> None:
        for _ in range(5000):
            histogram.observe(1.0)

    threads = [threading.Thread(target=observe) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(registry.collect())
    assert registry.get_sample_value("seconds_count") == registry.get_sample_value("seconds_sum") == 15_000
