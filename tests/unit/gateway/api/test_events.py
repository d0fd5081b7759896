"""/v1/jobs/{id}/events"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message

from contract.access import DEFAULT_PROJECT, Scope
from contract.errors import DatabaseUnavailable
from contract.jobs import Job, JobEvent, JobKind, Progress
from services.gateway.api import events
from services.gateway.edge import watches
from services.storage.jobs.events import Events
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, ONNX_FILE, PREPROCESS_REQUEST
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

LIFE = ["state", "state", "metrics", "log", "progress", "state"]


@pytest.fixture
def stores(file_stores: Stores) -> Stores:
    return file_stores


@pytest.fixture
def job(stores: Stores) -> Job:
    return stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)


def run_job(stores: Stores) -> None:
    """Run the job to its end, with one event of each kind."""
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    stores.leases.save_checkpoint(claim.lease, ONNX_FILE, {"epoch": 1, "train_loss": 0.5})
    stores.leases.log(claim.lease, "a line\nand another")
    stores.leases.renew(claim.lease, Progress(fraction=0.5, message="half"))
    stores.leases.finish(claim.lease, DATASET_MANIFEST)


def parsed(response: httpx.Response) -> list[tuple[int, str, dict[str, Any]]]:
    """The id, the kind and the data of each event of a whole stream."""
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in response.text.split("\r\n\r\n") if block and not block.startswith(":")]
    result = [dict(line.split(": ", 1) for line in block.split("\r\n")) for block in blocks]
    assert all(set(event) == {"id", "event", "data"} for event in result)
    return [(int(event["id"]), event["event"], json.loads(event["data"])) for event in result]


async def test_the_stream_of_a_finished_job_has_all_its_events(
    client: httpx.AsyncClient, stores: Stores, job: Job
) -> None:
    # given
    run_job(stores)

    # when
    result = parsed(await client.get(f"/v1/jobs/{job.id}/events"))

    # then the stream has all of them in order, and ends
    assert [number for number, _, _ in result] == [1, 2, 3, 4, 5, 6]
    assert [kind for _, kind, _ in result] == LIFE
    assert [event["data"] for _, _, event in result] == [
        {"state": "queued", "attempt": 0},
        {"state": "running", "attempt": 1},
        {"epoch": 1, "train_loss": 0.5},
        {"message": "a line\nand another"},
        {"fraction": 0.5, "message": "half"},
        {"state": "succeeded", "attempt": 1},
    ]
    assert all(event["at"].endswith("Z") for _, _, event in result)


@pytest.mark.parametrize(("last", "rest"), [("", 6), ("0", 6), ("2", 4), ("5", 1)])
async def test_a_reader_resumes_after_its_last_event(
    client: httpx.AsyncClient, stores: Stores, job: Job, last: str, rest: int
) -> None:
    run_job(stores)

    result = parsed(await client.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": last}))

    assert [kind for _, kind, _ in result] == LIFE[len(LIFE) - rest :]


@pytest.mark.parametrize("last", ["6", "999999999"])
async def test_a_reader_of_an_ended_job_is_told_not_to_reconnect(
    client: httpx.AsyncClient, stores: Stores, job: Job, last: str
) -> None:
    run_job(stores)

    response = await client.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": last})

    assert (response.status_code, response.content) == (204, b"")


async def test_a_reader_follows_a_job_to_its_end(client: httpx.AsyncClient, stores: Stores, job: Job) -> None:
    # given a client that reads the events of a waiting job
    polled, loop = asyncio.Event(), asyncio.get_running_loop()
    reading = asyncio.create_task(client.get(f"/v1/jobs/{job.id}/events"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Events, "after", _calling_before(Events.after, lambda: loop.call_soon_threadsafe(polled.set)))
        await asyncio.wait_for(polled.wait(), 30)

    # when the job runs
    await asyncio.to_thread(run_job, stores)

    # then the stream ends with it
    result = parsed(await asyncio.wait_for(reading, 30))
    assert [number for number, _, _ in result] == sorted({number for number, _, _ in result})
    assert result[-1][2]["data"]["state"] == "succeeded"


async def test_more_events_than_one_read_returns_are_streamed(
    client: httpx.AsyncClient, stores: Stores, job: Job
) -> None:
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    for number in range(250):
        stores.leases.log(claim.lease, f"line {number}")
    stores.leases.finish(claim.lease, DATASET_MANIFEST)

    result = parsed(await client.get(f"/v1/jobs/{job.id}/events"))

    assert [number for number, _, _ in result] == list(range(1, 254))


async def test_a_stream_continues_after_an_outage_of_the_database(
    client: httpx.AsyncClient, stores: Stores, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database that is unavailable for the first two reads
    run_job(stores)
    away = [DatabaseUnavailable("away")] * 2

    def fail_twice() -> None:
        if away:
            raise away.pop()

    monkeypatch.setattr(Events, "after", _calling_before(Events.after, fail_twice))
    monkeypatch.setattr(watches, "TICK_S", 0.01)

    # then nothing is missing
    assert [kind for _, kind, _ in parsed(await client.get(f"/v1/jobs/{job.id}/events"))] == LIFE


@pytest.mark.parametrize("path", ["events", "?wait=60"])
async def test_a_response_in_progress_ends_with_its_key(
    client_with: Callable[..., httpx.AsyncClient], stores: Stores, job: Job, path: str
) -> None:
    # given a client that follows a waiting job
    separator = "" if path.startswith("?") else "/"
    following = asyncio.create_task(client_with(Scope.READ).get(f"/v1/jobs/{job.id}{separator}{path}"))
    await asyncio.sleep(0.3)
    assert not following.done()

    # when another gateway revokes its key
    (key,) = stores.keys.list()
    await asyncio.to_thread(stores.keys.delete, key.id)

    # then the response ends within a second
    response = await asyncio.wait_for(following, 1)
    if path == "events":
        assert [kind for _, kind, _ in parsed(response)] == ["state"]
    else:
        problem(response, 401, "unauthenticated")


async def test_an_unknown_job_is_not_found(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/v1/jobs/none/events"), 404, "not_found").detail == "there is no such job"


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "1234567890"])
async def test_an_invalid_event_id_is_refused(client: httpx.AsyncClient, job: Job, last: str) -> None:
    response = await client.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": last})

    assert problem(response, 422, "invalid").errors[0].where == "header.last-event-id"


async def test_a_slow_reader_is_disconnected(
    app: FastAPI, stores: Stores, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a client that stops reading after the headers
    monkeypatch.setattr(events, "SEND_TIMEOUT_S", 0.05)
    secret = stores.keys.create("test", frozenset({Scope.READ})).secret
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/v1/jobs/{job.id}/events",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {secret}".encode())],
    }
    received = False

    async def receive() -> Message:
        nonlocal received
        if received:
            await asyncio.Event().wait()
        received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    # then it is disconnected, although its job has not ended
    async with asyncio.timeout(30):
        with pytest.raises(SendTimeoutError):
            await app(scope, receive, send)


def _calling_before(after: Callable[..., tuple[JobEvent, ...]], hook: Callable[[], object]) -> Callable[..., object]:
    def wrapper(*arguments: Any) -> tuple[JobEvent, ...]:
        hook()
        return after(*arguments)

    return wrapper
