"""More submits at once than a gateway can take."""

import asyncio
from contextlib import suppress

import httpx

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict
from tests.faults.clients import preprocess
from tests.faults.driver import Driver

BURST = 400


def test_a_burst_is_accepted_or_refused_and_nothing_is_lost(driver: Driver) -> None:
    # when
    answers = asyncio.run(_burst(driver))

    # then each is accepted, and is there, or is told when to come back
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert accepted
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code != 202)
    assert {answer.status_code for answer in answers} <= {202, 429, 503}
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
