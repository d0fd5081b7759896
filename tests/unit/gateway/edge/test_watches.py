"""Many requests that wait for jobs share few reads, leave the endpoints their threads, and are limited by key."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Scope
from contract.jobs import Job
from services.gateway.dependencies import Backends
from services.gateway.edge import watches
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS

pytestmark = pytest.mark.anyio


@pytest.fixture
def stores(file_stores: Stores) -> Stores:
    return file_stores


@pytest.fixture
def job(stores: Stores) -> Job:
    return stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)


@pytest.fixture
def reads(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the reads of jobs, events and keys."""
    counts: Counter[str] = Counter()
    access = backends.access
    monkeypatch.setattr(access, "_find_caller", counting(counts, "keys", access._find_caller))
    for owner, name in ((Events, "latest"), (Events, "after"), (Jobs, "get")):
        monkeypatch.setattr(owner, name, counting(counts, f"{owner.__name__}.{name}", getattr(owner, name)))
    return counts


def counting(counts: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        counts[name] += 1
        return function(*arguments)

    return counted


async def following(backends: Backends, count: int) -> None:
    """Wait until this many requests follow jobs."""
    async with asyncio.timeout(30):
        while sum(watched.followers for watched in backends.watches._watched.values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def settled(reads: Counter[str]) -> None:
    """Wait until the requests have made their first reads, which takes longer on a busy machine."""
    before = None
    async with asyncio.timeout(30):
        while before != (before := reads["Jobs.get"] + reads["Events.after"]):  # noqa: ASYNC110
            await asyncio.sleep(3 * watches.TICK_S)


@pytest.mark.parametrize("path", ["?wait=30", "/events"])
async def test_all_who_wait_for_a_job_share_its_reads(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, job: Job, reads: Counter[str], path: str
) -> None:
    # given 80 requests that wait for a job
    waiting = [asyncio.create_task(client.get(f"/v1/jobs/{job.id}{path}")) for _ in range(80)]
    await following(backends, 80)
    await settled(reads)

    # when some time passes, there is one read a tick, and one of the key
    reads.clear()
    await asyncio.sleep(4 * watches.TICK_S)
    assert 2 <= reads["Events.latest"] <= 5
    assert 2 <= reads["keys"] <= 6
    assert reads["Jobs.get"] + reads["Events.after"] == 0

    # when the job ends, they share the reads of what is new
    reads.clear()
    await asyncio.to_thread(stores.of(DEFAULT_PROJECT).jobs.cancel, job.id)
    responses = await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert {response.status_code for response in responses} == {200}
    assert all("cancelled" in response.text for response in responses)
    assert reads["Jobs.get"] <= 3
    assert reads["Events.after"] <= 2
    assert not backends.watches._watched


@pytest.mark.parametrize(("owner", "name"), [(Jobs, "get"), (Events, "after")])
@pytest.mark.parametrize("path", ["?wait=20", "/events"])
async def test_a_job_that_ends_between_two_reads_is_seen_to_end(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    path: str,
) -> None:
    # given a request that follows a job
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job.id}{path}"))
    await following(backends, 1)
    await asyncio.sleep(2 * watches.TICK_S)

    # when the job starts, and ends right after one of the two reads that follow
    original, jobs = getattr(owner, name), stores.of(DEFAULT_PROJECT).jobs

    def read_before_the_end(*arguments: Any) -> Any:
        result = original(*arguments)
        monkeypatch.setattr(owner, name, original)
        jobs.cancel(job.id)
        stores.leases.cancelled(claim.lease)
        return result

    monkeypatch.setattr(owner, name, read_before_the_end)
    claim = await asyncio.to_thread(stores.leases.claim, [job.kind], "worker")
    assert claim is not None

    # then the request is answered
    response = await asyncio.wait_for(waiting, 10)
    assert "cancelled" in response.text


async def test_jobs_of_a_project_share_the_read_of_a_tick(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, reads: Counter[str]
) -> None:
    jobs = [stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST) for _ in range(20)]
    waiting = [asyncio.create_task(client.get(f"/v1/jobs/{job.id}?wait=2")) for job in jobs]
    await following(backends, 20)
    await asyncio.sleep(2 * watches.TICK_S)

    reads.clear()
    await asyncio.sleep(4 * watches.TICK_S)

    assert reads["Events.latest"] <= 5
    assert {(await response).json()["state"] for response in waiting} == {"queued"}


async def test_waiting_requests_leave_the_threads_of_the_endpoints_free(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given requests that wait for a job while its reads are stuck
    waiting = [asyncio.create_task(client.get(f"/v1/jobs/{job.id}?wait=30")) for _ in range(60)]
    waiting += [asyncio.create_task(client.get(f"/v1/jobs/{job.id}/events")) for _ in range(30)]
    await following(backends, 90)
    stuck = threading.Event()
    monkeypatch.setattr(Events, "latest", lambda *_: stuck.wait(30) and {})
    await asyncio.sleep(2 * watches.TICK_S)

    # then other requests are answered
    try:
        async with asyncio.timeout(10):
            assert (await client.get("/v1/jobs")).status_code == 200
            body = PREPROCESS_REQUEST.model_dump(mode="json")
            assert (await client.post("/v1/jobs", json=body)).status_code in {202, 404}
    finally:
        stuck.set()
        for request in waiting:
            request.cancel()


async def test_a_key_has_a_limited_number_of_streams(
    client: httpx.AsyncClient,
    client_with: Callable[..., httpx.AsyncClient],
    backends: Backends,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a key that follows a job as often as it may
    monkeypatch.setattr(backends.watches, "_max_streams", 4)
    waiting = [asyncio.create_task(client.get(f"/v1/jobs/{job.id}{path}")) for path in ("?wait=30", "/events") * 2]
    await following(backends, 4)

    # then one more is refused, but other requests and other keys are not
    for path in ("?wait=1", "/events"):
        response = await client.get(f"/v1/jobs/{job.id}{path}")
        assert "follows jobs in 4 requests" in problem(response, 429, "too_many_requests").detail
        assert response.headers["retry-after"]
    assert (await client.get(f"/v1/jobs/{job.id}")).status_code == 200
    assert (await client_with(Scope.READ).get(f"/v1/jobs/{job.id}?wait=0.01")).status_code == 200

    # when they end, there is room again
    for request in waiting:
        request.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await client.get(f"/v1/jobs/{job.id}?wait=0.01")).status_code == 200
    assert not backends.watches._streams


async def test_a_reader_that_is_behind_gets_every_event_once(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two readers, while few events are kept
    monkeypatch.setattr(watches, "KEPT", 3)
    monkeypatch.setattr(watches, "PAGE", 5)
    reading = [asyncio.create_task(client.get(f"/v1/jobs/{job.id}/events")) for _ in range(2)]
    await following(backends, 2)

    # when many events happen at once
    def run() -> None:
        claim = stores.leases.claim(job.kind, "worker")
        assert claim is not None
        for number in range(23):
            stores.leases.log(claim.lease, f"line {number}")
        stores.of(DEFAULT_PROJECT).jobs.cancel(job.id)
        stores.leases.cancelled(claim.lease)

    await asyncio.to_thread(run)

    # then each gets them all, in order
    for response in await asyncio.wait_for(asyncio.gather(*reading), 30):
        numbers = [int(line[4:]) for line in response.text.splitlines() if line.startswith("id: ")]
        assert numbers == list(range(1, 27))


async def test_the_followers_of_an_unknown_job_are_told(app: FastAPI, client: httpx.AsyncClient) -> None:
    for path in ("?wait=30", "/events"):
        problem(await client.get(f"/v1/jobs/none{path}"), 404, "not_found")
    assert SETTINGS.max_streams == 100
    assert not app.state.backends.watches._watched
