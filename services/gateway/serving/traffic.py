"""Counts the requests that this gateway answers in each minute, for forecasts from a pool's own traffic."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from starlette.concurrency import run_in_threadpool

from contract.errors import TidepoolError
from services.gateway.serving.batching.metrics import answered_since_start
from services.storage.pools.demand import ONLINE
from services.storage.pools.traffic import Traffic

EVERY_S = 60.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def recording(traffic: Traffic) -> AsyncIterator[None]:
    """Record the answered requests every minute during the block; those of the last one are lost."""
    task = asyncio.create_task(_record(traffic, answered_since_start))
    try:
        yield
    finally:
        task.cancel()


async def _record(traffic: Traffic, answered: Callable[[], int]) -> None:
    recorded = answered()
    while True:
        await asyncio.sleep(EVERY_S)
        total = answered()
        try:
            if total > recorded:
                await run_in_threadpool(traffic.add, ONLINE, total - recorded)
            recorded = total
        except TidepoolError as error:  # the next minute has these, too
            log.warning("traffic not recorded", code=error.code)
