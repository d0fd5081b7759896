"""Online predictions end to end: batchers of gateways, Redis, and replicas in Celery worker processes."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis as redis_py

from contract.errors import BadImage, BrokerUnavailable, DeadlineExceeded, TidepoolError
from messaging import redis_keys
from services.gateway.serving.batching.batcher import Batcher
from tests.integration.worker.echo_client import TIMEOUT_S, ask, ask_all, replica, until_answered
from tests.integration.worker.echo_worker import wait_for
from tests.support.batcher import batcher
from tests.support.servers import Server, free_port, redis_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def log(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stdout of a replica that runs during the module."""
    path = tmp_path_factory.mktemp("replica") / "log"
    with replica(redis.url, path):
        yield path


@pytest.fixture
async def client(redis: Server, log: Path) -> AsyncIterator[Batcher]:
    """A batcher whose pool has one replica."""
    async with batcher("echo", redis.url) as gateway:
        yield gateway


async def test_each_of_many_questions_gets_its_own_answer(client: Batcher) -> None:
    texts = [str(number) * 3 for number in range(200)]

    answers = await asyncio.gather(*(ask(client, text) for text in texts))

    assert answers == [text[::-1] for text in texts]
    await client.ping()


async def test_each_gateway_gets_its_own_replies(redis: Server, client: Batcher) -> None:
    async with batcher("echo", redis.url) as other:
        texts = [f"text-{number}" for number in range(50)]

        answers = await asyncio.gather(*(ask(gateway, text) for text in texts for gateway in (client, other)))

    assert answers == [text[::-1] for text in texts for _ in range(2)]


async def test_a_sleeping_replica_is_woken_each_time(client: Batcher) -> None:
    for _ in range(3):
        assert await ask(client, "hello") == "olleh"
        await asyncio.sleep(0.6)  # longer than a replica stays awake


async def test_a_bad_question_does_not_fail_the_others(client: Batcher) -> None:
    answers = await asyncio.gather(ask(client, "one"), ask(client, "bad"), ask(client, "two"), return_exceptions=True)

    assert (answers[0], answers[2]) == ("eno", "owt")
    assert isinstance(answers[1], BadImage)


async def test_an_error_keeps_its_type_and_a_bug_hides_its_details(client: Batcher) -> None:
    with pytest.raises(BadImage, match="damaged"):
        await ask(client, "raise")
    with pytest.raises(TidepoolError) as caught:
        await ask(client, "bug")

    assert type(caught.value) is TidepoolError
    assert "secret" not in caught.value.message


async def test_a_question_past_its_deadline_is_not_computed(client: Batcher, tmp_path: Path, log: Path) -> None:
    # given a busy replica
    pid = await ask(client, "pid")
    busy = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
    await asyncio.to_thread(wait_for, tmp_path / f"busy-{pid}")

    # when a question's deadline passes before the replica is free
    with pytest.raises(DeadlineExceeded):
        await ask(client, "too late", 0.2)
    (tmp_path / "released").touch()
    await busy

    # then it was never computed
    computed = await ask_all(client, "computed")
    assert "too late" not in computed
    assert any("released" in text for text in computed)


async def test_without_a_replica_the_deadline_passes_and_the_batch_is_withdrawn(redis: Server) -> None:
    async with batcher("nobody", redis.url) as client:
        with pytest.raises(DeadlineExceeded):
            await ask(client, "hello", 0.5)

    assert redis_py.Redis.from_url(redis.url).llen("tidepool:nobody:batches") == 0  # withdrawn


async def test_questions_wait_for_a_replica_to_start(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with batcher("echo", server.url) as client:
            # given more questions than are sent at once, and no replica
            texts = [str(number) for number in range(100)]
            waiting = [asyncio.create_task(ask(client, text)) for text in texts]
            await asyncio.wait(waiting, timeout=1.5)
            assert not any(task.done() for task in waiting)

            with replica(server.url, tmp_path / "log"):
                assert await asyncio.gather(*waiting) == [text[::-1] for text in texts]


async def test_without_redis_questions_fail_at_once() -> None:
    async with batcher("echo", f"redis://127.0.0.1:{free_port()}/0") as client:
        with pytest.raises(BrokerUnavailable):
            await ask(client, "hello")
        with pytest.raises(BrokerUnavailable):
            await client.ping()


async def test_broken_connections_are_reopened(redis: Server, client: Batcher) -> None:
    assert await ask(client, "hello") == "olleh"

    redis_py.Redis.from_url(redis.url).client_kill_filter(_type="normal", skipme=True)

    assert await until_answered(client) == "olleh"


async def test_predictions_resume_after_redis_was_frozen_or_emptied(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, replica(server.url, tmp_path / "log"):
        async with batcher("echo", server.url) as client:
            assert await ask(client, "hello") == "olleh"

            # when it stops for longer than all timeouts
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(6)
            with pytest.raises(BrokerUnavailable):
                await ask(client, "hello")
            server.process.send_signal(signal.SIGCONT)
            assert await until_answered(client) == "olleh"

            # or loses all data
            redis_py.Redis.from_url(server.url).flushall()
            assert await until_answered(client) == "olleh"


async def test_a_batch_whose_replica_is_killed_is_answered_by_another(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with batcher("echo", server.url) as client:
            with replica(server.url, tmp_path / "first") as first:
                held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
                await asyncio.to_thread(wait_for, tmp_path / f"busy-{first.pid}")

                # when its replica is killed, and another one starts
                first.kill()
                with replica(server.url, tmp_path / "second"):
                    (tmp_path / "released").touch()
                    assert await held == f"until {tmp_path}/released"[::-1]


async def test_a_batch_is_not_sent_again_when_other_replicas_leave(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, contextlib.ExitStack() as running:
        async with batcher("echo", server.url) as client:
            # given three replicas, one of which has a batch
            logs = [tmp_path / f"log-{number}" for number in range(3)]
            processes = [running.enter_context(replica(server.url, log)) for log in logs]
            await asyncio.to_thread(wait_for_replicas, client, 3)
            held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
            busy = await asyncio.to_thread(busy_pid, tmp_path)

            # when the others leave, one after the other
            for count, process in enumerate((process for process in processes if process.pid != busy), start=1):
                process.terminate()
                await asyncio.to_thread(wait_for_replicas, client, 3 - count)

            # then the batch was not sent again
            assert redis_py.Redis.from_url(server.url).llen(redis_keys.batches("echo")) == 0
            (tmp_path / "released").touch()
            assert await held == f"until {tmp_path}/released"[::-1]


def wait_for_replicas(client: Batcher, count: int) -> None:
    """Wait until this gateway sees `count` replicas."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(client._channel.replicas) != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def busy_pid(folder: Path) -> int:
    """Wait for a busy replica and return its process id."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (files := list(folder.glob("busy-*"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(files[0].name.removeprefix("busy-"))
