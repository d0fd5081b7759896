"""The only place that asks for predictions at the times of a load trace, whatever the server does (an open loop)."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

import aiohttp

from benchmarks.inference.wrk import Request
from tidepool.simulate.trace import Trace

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Asked:
    """One request: seconds from the trace's start to its turn, seconds to its answer, and its status; 0 is none."""

    at: float
    took_s: float
    status: int


def short_day(per_s: float) -> Trace:
    """Nothing, a morning at a third of `per_s`, forty seconds at 1.4 times `per_s`, an evening, and a night."""
    rates = {0.0: 0.0, 10.0: per_s / 3, 30.0: 1.4 * per_s, 70.0: per_s / 3, 90.0: 0.0}
    return Trace("short day", list(rates), list(rates.values()), 150.0)


def times(trace: Trace, seed: int) -> list[float]:
    """A Poisson process at the trace's rate: exponential gaps, drawn anew where the rate changes."""
    random, found = Random(seed), []
    for start, end, rate in zip(trace.starts, (*trace.starts[1:], trace.seconds), trace.rates, strict=True):
        at = start + random.expovariate(rate) if rate else end
        while at < end:
            found.append(at)
            at += random.expovariate(rate)
    return found


def ask(request: Request, at: Sequence[float], until_s: float) -> list[Asked]:
    """Send each request at its time, and return when all have an answer and `until_s` seconds have passed."""
    return asyncio.run(_ask(request, at, until_s))


def capacity(request: Request, connections: int = 4, seconds: float = 5.0) -> float:
    """Answers a second where as many ask again at once as an answer came."""
    return asyncio.run(_capacity(request, connections, seconds))


async def _ask(request: Request, at: Sequence[float], until_s: float) -> list[Asked]:
    async with _client() as client, asyncio.TaskGroup() as group:
        tasks, start = [], time.monotonic()
        for due in at:
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            tasks.append(group.create_task(_one(client, request, due, start + due)))
        await asyncio.sleep(max(0.0, start + until_s - time.monotonic()))
    return [task.result() for task in tasks]


async def _capacity(request: Request, connections: int, seconds: float) -> float:
    end = time.monotonic() + seconds
    async with _client() as client:

        async def again_and_again() -> int:
            count = 0
            while time.monotonic() < end:
                count += (await _one(client, request, 0.0, time.monotonic())).status == HTTPStatus.OK
            return count

        return sum(await asyncio.gather(*(again_and_again() for _ in range(connections)))) / seconds


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
    )


async def _one(client: aiohttp.ClientSession, request: Request, at: float, due: float) -> Asked:
    """Timed from when it was due, so that a late client does not hide a wait."""
    try:
        async with client.post(request.url, data=request.body.content, headers=request.body.headers) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    return Asked(at, time.monotonic() - due, status)
