"""Send predictions at the times of a load trace, whatever the server does (an open loop)."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

import aiohttp

from benchmarks.inference.wrk import Request
from scaling.simulation.trace import Trace

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class TimedRequest:
    """One request: its due time in the trace, the seconds until the response, and the status (0 for no response)."""

    at: float
    took_s: float
    status: int


def short_day(per_s: float) -> Trace:
    """Return a trace of 150 s: no load, a third of `per_s`, 40 s at 1.4 times `per_s`, a third, no load."""
    rates = {0.0: 0.0, 10.0: per_s / 3, 30.0: 1.4 * per_s, 70.0: per_s / 3, 90.0: 0.0}
    return Trace("short day", list(rates), list(rates.values()), 150.0)


def arrival_times(trace: Trace, seed: int) -> list[float]:
    """Draw a Poisson process at the trace's rate: exponential gaps, redrawn when the rate changes."""
    random, arrivals = Random(seed), []
    for start, end, rate in zip(trace.starts, (*trace.starts[1:], trace.seconds), trace.rates, strict=True):
        at = start + random.expovariate(rate) if rate else end
        while at < end:
            arrivals.append(at)
            at += random.expovariate(rate)
    return arrivals


def send_all(request: Request, at: Sequence[float], until_s: float) -> list[TimedRequest]:
    """Send each request at its time; return when all are done and `until_s` seconds have passed."""
    return asyncio.run(_send_all(request, at, until_s))


def capacity(request: Request, connections: int = 4, seconds: float = 5.0) -> float:
    """Return the responses per second of `connections` clients that send as soon as they have a response."""
    return asyncio.run(_capacity(request, connections, seconds))


async def _send_all(request: Request, at: Sequence[float], until_s: float) -> list[TimedRequest]:
    async with _client() as client, asyncio.TaskGroup() as group:
        tasks, start = [], time.monotonic()
        for due in at:
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            tasks.append(group.create_task(_send(client, request, due, start + due)))
        await asyncio.sleep(max(0.0, start + until_s - time.monotonic()))
    return [task.result() for task in tasks]


async def _capacity(request: Request, connections: int, seconds: float) -> float:
    end = time.monotonic() + seconds
    async with _client() as client:

        async def send_repeatedly() -> int:
            count = 0
            while time.monotonic() < end:
                count += (await _send(client, request, 0.0, time.monotonic())).status == HTTPStatus.OK
            return count

        return sum(await asyncio.gather(*(send_repeatedly() for _ in range(connections)))) / seconds


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
    )


async def _send(client: aiohttp.ClientSession, request: Request, at: float, due: float) -> TimedRequest:
    """Send one request, timed from when it was due, so that a late client does not hide a wait."""
    try:
        async with client.post(request.url, data=request.body.content, headers=request.body.headers) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    return TimedRequest(at, time.monotonic() - due, status)
