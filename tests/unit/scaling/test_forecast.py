"""What other bounds would have done on traffic that a pool had."""

import subprocess
import sys
from typing import Any

import pytest

from contract.pools import ScalingPolicy
from scaling.forecast import Forecast, ForecastRequest, forecast

HOUR = 3600


def request(low: int, high: int, **changes: Any) -> ForecastRequest:
    """Six hours with 600 requests a minute of 0.1 s each in the third one, which keep one replica busy."""
    values = {
        "policy": ScalingPolicy(min=low, max=high, utilization=0.7, backlog_per_replica=16),
        "starts": tuple(range(2 * HOUR, 3 * HOUR, 60)),
        "counts": (600,) * 60,
        **{"seconds": 6 * HOUR, "service_s": 0.1, "startup_s": 3.0, "deadline_s": 10.0, "jobs": False},
    }
    return ForecastRequest.model_validate(values | changes)


def test_a_pool_that_goes_to_zero_costs_less_than_its_maximum() -> None:
    result = forecast(request(0, 4))

    assert result.arrived == pytest.approx(36_000, rel=0.05)
    assert result.static_hours == pytest.approx(24, rel=0.01)
    assert 1 < result.replica_hours < 4
    assert result.saved > 0.8
    assert max(result.replicas) <= 4
    assert result.replicas[0] == result.replicas[-1] == 0
    assert len(result.replicas) == len(result.arrivals) <= 180
    assert result.static_wait_s == 0
    assert result.wait_s is not None


def test_a_maximum_that_is_too_small_shows_in_waits_and_drops() -> None:
    result = forecast(request(1, 1, counts=(1200,) * 60))

    assert result.dropped > 10_000
    assert result.wait_s is None
    assert result.saved == 0


def test_jobs_arrive_when_they_were_submitted_and_wait_without_a_deadline() -> None:
    jobs = {"jobs": True, "deadline_s": None, "service_s": 600.0, "starts": (HOUR,), "counts": (6,)}
    policy = {"policy": ScalingPolicy(min=0, max=2, backlog_per_replica=1)}

    result = forecast(request(0, 2, **jobs, **policy))

    assert (result.arrived, result.dropped) == (6, 0)
    assert result.wait_s == pytest.approx(1200, abs=20)  # two at once, three after each other
    assert result.replica_hours == pytest.approx(1, rel=0.2)


def test_nothing_fits_into_no_replicas() -> None:
    result = forecast(request(0, 0))
    assert (result.replica_hours, result.static_hours, result.saved, result.wait_s) == (0, 0, 0, None)


def test_it_runs_as_a_process() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "scaling.forecast"],
        input=request(0, 4).model_dump_json(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Forecast.model_validate_json(run.stdout) == forecast(request(0, 4))
