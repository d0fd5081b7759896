"""Calls for real: a replica in a Celery worker process, over Redis."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py

from contract.errors import BadImage, BrokerUnavailable, DeadlineExceeded, TidepoolError
from contract.jobs import JobKind
from runtime.broker import Broker, celery_app
from runtime.calls import Caller, RedisCaller
from runtime.memory import MemoryCaller
from runtime.settings import BrokerSettings
from tests.integration.runtime.echo_worker import answer, wait_for
from tests.servers import Server, redis_server

pytestmark = pytest.mark.anyio

PATIENCE_S = 40.0


@contextmanager
def replica(server: Server, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers calls, until the end of the block."""
    environment = os.environ | {
        "TIDEPOOL_BROKER_URL": server.url,
        "TIDEPOOL_DATABASE_URL": "sqlite:////unused",
        "TIDEPOOL_S3_ENDPOINT": "http://127.0.0.1:1",
        "TIDEPOOL_S3_ACCESS_KEY": "unused",
        "TIDEPOOL_S3_SECRET_KEY": "unused",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.integration.runtime.echo_worker"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def log(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The standard output of a replica that runs meanwhile."""
    path = tmp_path_factory.mktemp("replica") / "log"
    with replica(redis, path):
        yield path


@pytest.fixture
def broker(redis: Server) -> Broker:
    return Broker(celery_app(BrokerSettings.model_validate({"url": redis.url})))


@pytest.fixture
async def caller(redis: Server, broker: Broker) -> AsyncIterator[RedisCaller]:
    caller = RedisCaller(BrokerSettings.model_validate({"url": redis.url}), broker)
    yield caller
    await caller.close()


@pytest.fixture(params=["redis", "memory"])
def either(request: pytest.FixtureRequest) -> Caller:
    """The real caller with its replica, or its twin."""
    if request.param == "memory":
        return MemoryCaller(answer)
    request.getfixturevalue("log")
    found: Caller = request.getfixturevalue("caller")
    return found


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[tuple[Server, Broker, RedisCaller]]:
    """A Redis for one test to stop or freeze, and its clients."""
    with redis_server(tmp_path) as server:
        settings = BrokerSettings.model_validate({"url": server.url})
        broker = Broker(celery_app(settings))
        caller = RedisCaller(settings, broker)
        yield server, broker, caller
        server.process.send_signal(signal.SIGCONT)
        await caller.close()


async def test_calls_are_answered(either: Caller) -> None:
    bodies = [bytes([number]) * number for number in range(1, 20)]

    answers = await asyncio.gather(*(either.call("echo", body + b"!", PATIENCE_S, "r-1") for body in bodies))

    # each with its own answer
    assert answers == [b"!" + body for body in bodies]
    await either.ping()


async def test_an_error_of_ours_arrives_as_it_was_raised(either: Caller) -> None:
    with pytest.raises(BadImage) as caught:
        await either.call("echo", b"bad", PATIENCE_S, "r-1")

    assert caught.value.message == "the file is damaged"


async def test_a_bug_arrives_without_its_details(either: Caller) -> None:
    with pytest.raises(TidepoolError) as caught:
        await either.call("echo", b"bug", PATIENCE_S, "r-1")

    assert type(caught.value) is TidepoolError
    assert "secret" not in caught.value.message


async def test_the_deadline_passes_while_the_replica_computes(either: Caller, tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        await either.call("echo", f"until {tmp_path}/released".encode(), 0.2, "r-1")

    (tmp_path / "released").touch()


async def test_a_call_that_nobody_waits_for_is_not_computed(log: Path, caller: RedisCaller, tmp_path: Path) -> None:
    # given a busy replica
    busy = asyncio.create_task(caller.call("echo", f"until {tmp_path}/released".encode(), PATIENCE_S, "r-1"))
    await asyncio.to_thread(wait_for, tmp_path / "busy")

    # when a call's deadline passes in the queue, and then the replica is free
    with pytest.raises(DeadlineExceeded):
        await caller.call("echo", b"too late", 0.2, "r-1")
    (tmp_path / "released").touch()
    await busy

    # then it was never computed
    computed = await caller.call("echo", b"computed", PATIENCE_S, "r-1")
    assert b"released" in computed
    assert b"too late" not in computed


async def test_no_pool_listens(caller: RedisCaller) -> None:
    # for longer than the socket timeout that redis-py has by itself, which is no reason to give up
    with pytest.raises(DeadlineExceeded):
        await caller.call("nobody", b"", 5.5, "r-1")


async def test_a_replica_logs_json_with_the_callers_request_id(log: Path, caller: RedisCaller) -> None:
    with pytest.raises(BadImage):
        await caller.call("echo", b"bad", PATIENCE_S, "trace-42")

    lines = [json.loads(line) for line in (await asyncio.to_thread(log.read_text)).splitlines()]
    assert {line["role"] for line in lines} == {"echo"}
    assert [line["code"] for line in lines if line.get("request_id") == "trace-42"] == ["bad_image"]


@pytest.mark.usefixtures("log")
async def test_celery_sees_the_replica(redis: Server, caller: RedisCaller) -> None:
    await caller.call("echo", b"", PATIENCE_S, "r-1")
    app = celery_app(BrokerSettings.model_validate({"url": redis.url}))

    found = await asyncio.to_thread(lambda: app.control.inspect(timeout=PATIENCE_S, limit=1).ping())

    (name,) = found
    assert name.startswith("echo@")
    assert found[name] == {"ok": "pong"}


@pytest.mark.usefixtures("log")
async def test_connections_that_break_are_made_again(redis: Server, caller: RedisCaller) -> None:
    await caller.call("echo", b"", PATIENCE_S, "r-1")

    redis_py.Redis.from_url(redis.url).client_kill_filter(_type="normal", skipme=True)

    assert await _until_answered(caller) == b"olleh"


async def test_a_stopped_redis_is_an_outage_at_once(own: tuple[Server, Broker, RedisCaller]) -> None:
    server, broker, caller = own
    await caller.ping()

    server.process.terminate()
    server.process.wait()

    # not only when the time is over
    for attempt in (caller.call("echo", b"", 3600, "r-1"), caller.ping(), asyncio.to_thread(_ring, broker)):
        with pytest.raises(BrokerUnavailable):
            await attempt


async def test_a_frozen_redis_stops_nobody_for_good(own: tuple[Server, Broker, RedisCaller], tmp_path: Path) -> None:
    server, broker, caller = own
    with replica(server, tmp_path / "log"):
        # given a replica that has just answered
        assert await caller.call("echo", b"hello", PATIENCE_S, "r-1") == b"olleh"

        # when Redis freezes, for longer than the replica's own timeouts
        server.process.send_signal(signal.SIGSTOP)

        # then all who ask hear so in the end
        with pytest.raises(DeadlineExceeded):
            await caller.call("echo", b"", 1, "r-1")
        with pytest.raises(BrokerUnavailable):
            await asyncio.to_thread(_ring, broker)
        for _ in range(3):
            with pytest.raises(BrokerUnavailable):
                await caller.ping()

        # and when Redis goes on, so does the replica
        server.process.send_signal(signal.SIGCONT)
        assert await _until_answered(caller) == b"olleh"


def _ring(broker: Broker) -> None:
    broker.ring(JobKind.TRAIN, "job-1")


async def _until_answered(caller: Caller) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await caller.call("echo", b"hello", 5, "r-1")
            except (BrokerUnavailable, DeadlineExceeded):
                continue
