"""Forecasts of what other bounds of a pool would have done in the last day, on the pool's own traffic."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from contract.errors import Unavailable
from contract.pools import PoolName, ScalingPolicy
from scaling.forecast import Forecast, ForecastRequest
from services.storage.pools.traffic import Arrived, Traffic

DAY = timedelta(days=1)
EVERY = timedelta(minutes=10)  # the end of the day is rounded to it, so that a repeated question has its answer
STARTUP_S = 3.0
DEADLINE_S = 10.0  # the default X-Request-Timeout
TIMEOUT_S = 20.0
WAIT_S = 3.0  # for another forecast: each that waits holds one of the threads that answer requests

_one_at_a_time = threading.Lock()


def traffic_of(traffic: Traffic, pool: PoolName, policy: ScalingPolicy, now: datetime) -> ForecastRequest | None:
    """Return the pool's traffic of the last day, online requests if there were any, else jobs; None without both."""
    until = now - (now - datetime.fromtimestamp(0, now.tzinfo)) % EVERY
    since = until - DAY
    requests, seconds = traffic.requests(pool, since, until), traffic.seconds_per_request(pool)
    online = bool(requests) and seconds is not None
    if not online:
        requests, seconds = traffic.jobs(pool, since, until)
    if not requests or not seconds:
        return None
    return ForecastRequest(
        policy=policy,
        starts=_seconds_after(since, requests),
        counts=tuple(arrived.number for arrived in requests),
        seconds=int(DAY.total_seconds()),
        service_s=max(seconds, 1e-4),
        startup_s=STARTUP_S,
        deadline_s=DEADLINE_S if online else None,
        jobs=not online,
    )


def forecast(request: ForecastRequest) -> Forecast:
    """Return the forecast; raises Unavailable if it takes too long."""
    return Forecast.model_validate_json(_computed(request.model_dump_json()))


@lru_cache(maxsize=64)
def _computed(request: str) -> str:
    """Compute in another process, because this one has requests to answer."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "scaling.forecast"]
    if not _one_at_a_time.acquire(timeout=WAIT_S):
        raise Unavailable("other forecasts are being computed; try again soon")
    try:
        run = subprocess.run(
            command, input=request, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable("the forecast could not be computed now; try again soon") from error
    finally:
        _one_at_a_time.release()
    return run.stdout


def _seconds_after(since: datetime, arrivals: Sequence[Arrived]) -> tuple[int, ...]:
    return tuple(int((arrived.at - since).total_seconds()) for arrived in arrivals)
