"""Submit latencies at a constant rate (open loop): each submit begins on time, even if earlier ones still wait."""

import asyncio
import time

import httpx

from tests.faults.clients import preprocess
from tests.faults.cluster import Cluster


async def submit_latencies(cluster: Cluster, per_second: int, seconds: int) -> list[float]:
    """Return the seconds from the due time of each submit to its response; raises httpx.HTTPError."""
    headers = {"Authorization": f"Bearer {cluster.key}"}
    limits = httpx.Limits(max_connections=200, keepalive_expiry=1)  # shorter than the server's
    timeout = httpx.Timeout(30, pool=None)  # waiting for a connection is part of the latency
    async with httpx.AsyncClient(
        base_url=cluster.url, headers=headers, timeout=timeout, limits=limits, trust_env=False
    ) as http:
        body, start = preprocess(cluster, "quick"), time.monotonic() + 0.5

        async def submit(number: int) -> float:
            due = start + number / per_second
            await asyncio.sleep(due - time.monotonic())
            (await http.post("/v1/jobs", json=body)).raise_for_status()
            return time.monotonic() - due

        return list(await asyncio.gather(*(submit(number) for number in range(per_second * seconds))))
