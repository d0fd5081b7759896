"""GET /v1/health"""

import asyncio
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from contract import __version__
from contract.artifacts import Bucket
from contract.errors import ObjectsUnavailable
from contract.health import Check, HealthReport, Level
from contract.reports import PoolReports, ProcessReport, ReplicaReport
from messaging.in_memory import MemoryChannel, MemoryReports
from services.gateway.diagnosis import diagnosis
from services.storage.memory_objects import MemoryObjects

pytestmark = pytest.mark.anyio

READY = ReplicaReport(job=False, busy=0.0, draining=False, version=__version__)
RUNS = ProcessReport(__version__, 0.1)


@pytest.fixture
def reports() -> MemoryReports:
    """Every process reports, and each pool has a replica."""
    reports = MemoryReports()
    reports.reported = {pool: PoolReports({"a": READY}) for pool in ("preprocess", "trainer", "inference")}
    reports.processes = {"storage": {"a": RUNS}, "autoscaler": {"a": RUNS}}
    return reports


async def report_of(client: httpx.AsyncClient) -> HealthReport:
    response = await client.get("/v1/health")
    assert response.status_code == 200
    return HealthReport.model_validate(response.json())


def of(report: HealthReport, component: str, name: str) -> Check:
    (check,) = (check for check in report.checks if (check.component, check.name) == (component, name))
    return check


async def test_the_report_has_every_component(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    report = await report_of(client)

    assert report.version == __version__
    names = {check.component for check in report.checks}
    servers = {"gateway", "database", "redis", "object store"}
    assert names == servers | {"storage", "autoscaler", "preprocess", "trainer", "inference"}
    # only the tables that were made without migrations have no revision
    assert {check.name for check in report.checks if check.level is not Level.OK} <= {"schema", "disk"}
    assert of(report, "inference", "latency").latency_ms is not None
    assert objects.content == {}


async def test_a_deployment_without_replicas_is_not_woken(
    client: httpx.AsyncClient, reports: MemoryReports, channel: MemoryChannel
) -> None:
    reports.reported = {}

    report = await report_of(client)

    assert channel.sent == []
    assert "latency" not in {check.name for check in report.checks if check.component == "inference"}


async def test_a_replica_that_does_not_answer_is_a_problem(
    client: httpx.AsyncClient, channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "PING_S", 0.05)
    channel.held = True

    check = of(await report_of(client), "inference", "answers")

    assert (check.level, check.message) == (Level.PROBLEM, "no replica answered within 0.05 s")
    assert channel.withdrawn == channel.sent


async def test_an_outage_of_redis_is_one_problem_with_what_to_do(
    client: httpx.AsyncClient, reports: MemoryReports
) -> None:
    reports.facts = reports.reported = reports.processes = None

    report = await report_of(client)

    assert report.status is Level.PROBLEM
    assert "TIDEPOOL_BROKER_URL" in (of(report, "redis", "answers").advice or "")
    assert [check.component for check in report.checks if check.level is Level.PROBLEM] == ["redis"]


async def test_an_object_store_that_refuses_to_write_is_a_problem(
    client: httpx.AsyncClient, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ObjectsUnavailable("the object store refused the request")

    monkeypatch.setattr(objects, "put", refuse)

    check = of(await report_of(client), "object store", "objects")

    assert (check.level, "PutObject" in (check.advice or "")) == (Level.PROBLEM, True)


@pytest.fixture
def hanging(objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Bucket]]:
    """An object store that does not answer until the test has ended; the calls so far."""
    calls: list[Bucket] = []
    ended = threading.Event()

    def hang(bucket: Bucket) -> None:
        calls.append(bucket)
        ended.wait(30)

    monkeypatch.setattr(objects, "bucket_headers", hang)
    monkeypatch.setattr(diagnosis, "DEADLINE_S", 0.5)
    yield calls
    ended.set()


async def test_a_server_that_hangs_delays_the_report_to_the_deadline_only(
    client: httpx.AsyncClient, hanging: list[Bucket]
) -> None:
    started = time.monotonic()

    report = await report_of(client)

    assert time.monotonic() - started < 5
    assert of(report, "object store", "answers").message == "no result within 0.5 s"
    assert of(report, "database", "answers").level is Level.OK


async def test_requests_at_the_same_time_get_the_same_report(client: httpx.AsyncClient, hanging: list[Bucket]) -> None:
    first, second = await asyncio.gather(report_of(client), report_of(client))

    assert first == second
    assert len(hanging) == 1


async def test_the_text_of_an_unexpected_error_is_not_shown(
    client: httpx.AsyncClient, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Bucket) -> None:
        raise RuntimeError("/srv/secret")

    monkeypatch.setattr(objects, "bucket_headers", fail)

    response = await client.get("/v1/health")

    assert "/srv/secret" not in response.text
    check = of(HealthReport.model_validate(response.json()), "object store", "answers")
    assert check.level is Level.PROBLEM


async def test_the_screen_shows_the_same_report(app: FastAPI, client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    stores = app.state.backends.stores
    (key,) = stores.keys.list()
    cookie = f"tidepool={stores.sessions.create(key.id)}"
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool") as browser:
        page = (await browser.get("/system", headers=headers)).text

    assert "Object store" in page
    assert "Check again" in page
