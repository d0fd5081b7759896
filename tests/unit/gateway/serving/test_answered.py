"""What the metrics of the batcher say of a model's versions."""

import pytest

from contract.access import DEFAULT_PROJECT
from services.gateway.serving.batching.metrics import REFUSED, TOTAL, answered, answered_in


def test_requests_and_quantiles_are_those_of_each_version() -> None:
    before = answered_in(DEFAULT_PROJECT), answered_in("answered-project")
    for version, seconds in (("1", 0.004), ("1", 0.004), ("1", 0.02), ("2", 20.0)):
        TOTAL.labels("answered-project/answered", version).observe(seconds)
    REFUSED.labels("answered-project/answered", "2").inc(3)

    numbers = answered("answered-project/answered")

    assert {version: (one.requests, one.refused) for version, one in numbers.items()} == {1: (3, 0), 2: (1, 3)}
    assert numbers[1].p50_s == pytest.approx(0.0025 + 0.0025 * 0.75)
    assert numbers[2].p99_s == 10  # beyond the last bucket
    assert answered("answered") == {}
    assert (answered_in(DEFAULT_PROJECT), answered_in("answered-project")) == (before[0], before[1] + 4)
