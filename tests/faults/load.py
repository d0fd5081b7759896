"""How fast jobs are accepted at a steady rate: every submit begins on time, also if earlier ones still wait."""

import asyncio
import time

import httpx

from tests.faults.clients import preprocess
from tests.faults.cluster import Cluster


async def submit_latencies(cluster: Cluster, per_second: int, seconds: int) -> list[float]:
    """Seconds from when each submit was due to its answer, in order; raises httpx.HTTPError for one without a 202."""
    headers = {"Authorization": f"Bearer {cluster.key}"}
    limits = httpx.Limits(max_connections=200, keepalive_expiry=1)  # below the server's, or a reuse may meet its close
    async with httpx.AsyncClient(
        base_url=cluster.url, headers=headers, timeout=30, limits=limits, trust_env=False
    ) as http:
        body, start = preprocess(cluster, "quick"), time.monotonic() + 0.5

        async def submit(number: int) -> float:
            due = start + number / per_second
            await asyncio.sleep(due - time.monotonic())
            (await http.post("/v1/jobs", json=body)).raise_for_status()
            return time.monotonic() - due

        return list(await asyncio.gather(*(submit(number) for number in range(per_second * seconds))))
