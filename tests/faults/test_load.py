"""More simultaneous submits than a gateway accepts."""

import asyncio
from contextlib import suppress

import httpx

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict
from tests.faults.clients import preprocess
from tests.faults.driver import Driver

BURST = 400


def test_each_submit_of_a_burst_is_accepted_or_rejected_and_none_is_lost(driver: Driver) -> None:
    # when
    responses = asyncio.run(_burst(driver))

    # then each is accepted and stored, or rejected with Retry-After
    accepted = [response.json()["id"] for response in responses if response.status_code == 202]
    assert accepted
    assert all("Retry-After" in response.headers for response in responses if response.status_code != 202)
    assert {response.status_code for response in responses} <= {202, 429, 503}
    for job in accepted:
        with suppress(Conflict):  # it has already succeeded
            driver.cluster.stores.of(DEFAULT_PROJECT).jobs.cancel(job)


async def _burst(driver: Driver) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {driver.cluster.key}"}
    limits = httpx.Limits(max_connections=BURST)
    async with httpx.AsyncClient(
        base_url=driver.cluster.url, headers=headers, timeout=60, limits=limits, trust_env=False
    ) as http:
        body = preprocess(driver.cluster, "slow")
        return list(await asyncio.gather(*(http.post("/v1/jobs", json=body) for _ in range(BURST))))
