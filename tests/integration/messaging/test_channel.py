"""The online path for real: gateways' batchers, Redis, and replicas in Celery worker processes."""

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
from messaging.broker import celery_app
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from tests.integration.worker.echo_worker import wait_for
from tests.integration.worker.echoing import PATIENCE_S, ask, ask_all, replica, until_answered
from tests.support.batcher import batcher
from tests.support.servers import Server, free_port, redis_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def log(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The standard output of a replica that runs meanwhile."""
    path = tmp_path_factory.mktemp("replica") / "log"
    with replica(redis.url, path):
        yield path


@pytest.fixture
async def asker(redis: Server, log: Path) -> AsyncIterator[Batcher]:
    """A gateway's batcher, with a replica at the other end."""
    async with batcher("echo", redis.url) as found:
        yield found


async def test_many_questions_each_get_their_own_answer(asker: Batcher) -> None:
    texts = [str(number) * 3 for number in range(200)]

    answers = await asyncio.gather(*(ask(asker, text) for text in texts))

    assert answers == [text[::-1] for text in texts]
    await asker.ping()


async def test_gateways_side_by_side_get_their_own_replies(redis: Server, asker: Batcher) -> None:
    async with batcher("echo", redis.url) as other:
        texts = [f"text-{number}" for number in range(50)]

        answers = await asyncio.gather(*(ask(each, text) for text in texts for each in (asker, other)))

    assert answers == [text[::-1] for text in texts for _ in range(2)]


async def test_a_sleeping_replica_is_woken_each_time(asker: Batcher) -> None:
    for _ in range(3):
        assert await ask(asker, "hello") == "olleh"
        await asyncio.sleep(0.6)  # longer than a replica stays awake


async def test_a_bad_question_fails_alone(asker: Batcher) -> None:
    found = await asyncio.gather(ask(asker, "one"), ask(asker, "bad"), ask(asker, "two"), return_exceptions=True)

    assert (found[0], found[2]) == ("eno", "owt")
    assert isinstance(found[1], BadImage)


async def test_an_error_arrives_as_it_was_raised_and_a_bug_without_its_details(asker: Batcher) -> None:
    with pytest.raises(BadImage, match="damaged"):
        await ask(asker, "raise")
    with pytest.raises(TidepoolError) as caught:
        await ask(asker, "bug")

    assert type(caught.value) is TidepoolError
    assert "secret" not in caught.value.message


async def test_a_question_that_is_too_late_is_not_computed(asker: Batcher, tmp_path: Path, log: Path) -> None:
    # given a busy replica
    pid = await ask(asker, "pid")
    busy = asyncio.create_task(ask(asker, f"until {tmp_path}/released"))
    await asyncio.to_thread(wait_for, tmp_path / f"busy-{pid}")

    # when a question's deadline passes before the replica is free
    with pytest.raises(DeadlineExceeded):
        await ask(asker, "too late", 0.2)
    (tmp_path / "released").touch()
    await busy

    # then it was never computed
    computed = await ask_all(asker, "computed")
    assert "too late" not in computed
    assert any("released" in text for text in computed)


async def test_celery_sees_the_replica_while_it_works(redis: Server, asker: Batcher) -> None:
    app = celery_app(BrokerSettings.model_validate({"url": redis.url}))
    working = asyncio.create_task(asyncio.to_thread(lambda: app.control.inspect(timeout=PATIENCE_S, limit=1).ping()))

    while not working.done():
        await ask(asker, "hello")

    (name,) = found = await working
    assert name.startswith("echo@")
    assert found[name] == {"ok": "pong"}


async def test_nobody_listens(redis: Server) -> None:
    async with batcher("nobody", redis.url) as asker:
        with pytest.raises(DeadlineExceeded):
            await ask(asker, "hello", 0.5)

    assert redis_py.Redis.from_url(redis.url).llen("tidepool:nobody:batches") == 0  # taken back


async def test_a_question_waits_for_a_replica_that_comes(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with batcher("echo", server.url) as asker:
            # given more questions than leave at once, and nobody there
            texts = [str(number) for number in range(100)]
            waiting = [asyncio.create_task(ask(asker, text)) for text in texts]
            await asyncio.wait(waiting, timeout=1.5)
            assert not any(task.done() for task in waiting)

            with replica(server.url, tmp_path / "log"):
                assert await asyncio.gather(*waiting) == [text[::-1] for text in texts]


async def test_no_redis_is_an_outage_at_once() -> None:
    async with batcher("echo", f"redis://127.0.0.1:{free_port()}/0") as asker:
        with pytest.raises(BrokerUnavailable):
            await ask(asker, "hello")
        with pytest.raises(BrokerUnavailable):
            await asker.ping()


async def test_connections_that_break_are_made_again(redis: Server, asker: Batcher) -> None:
    assert await ask(asker, "hello") == "olleh"

    redis_py.Redis.from_url(redis.url).client_kill_filter(_type="normal", skipme=True)

    assert await until_answered(asker) == "olleh"


async def test_a_frozen_or_emptied_redis_heals(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, replica(server.url, tmp_path / "log"):
        async with batcher("echo", server.url) as asker:
            assert await ask(asker, "hello") == "olleh"

            # when it stops for so long that everybody notices
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(6)
            with pytest.raises(BrokerUnavailable):
                await ask(asker, "hello")
            server.process.send_signal(signal.SIGCONT)
            assert await until_answered(asker) == "olleh"

            # or forgets everything
            redis_py.Redis.from_url(server.url).flushall()
            assert await until_answered(asker) == "olleh"


async def test_a_batch_whose_replica_is_killed_is_answered_by_another(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with batcher("echo", server.url) as asker:
            with replica(server.url, tmp_path / "first") as first:
                held = asyncio.create_task(ask(asker, f"until {tmp_path}/released"))
                await asyncio.to_thread(wait_for, tmp_path / f"busy-{first.pid}")

                # when the replica that has it is killed, and another one is there
                first.kill()
                with replica(server.url, tmp_path / "second"):
                    (tmp_path / "released").touch()
                    assert await held == f"until {tmp_path}/released"[::-1]


async def test_a_batch_outlives_replicas_that_leave_beside_it(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, contextlib.ExitStack() as running:
        async with batcher("echo", server.url) as asker:
            # given three replicas, one of which has a batch
            logs = [tmp_path / f"log-{number}" for number in range(3)]
            processes = [running.enter_context(replica(server.url, log)) for log in logs]
            await asyncio.to_thread(wait_until_there_are, asker, 3)
            held = asyncio.create_task(ask(asker, f"until {tmp_path}/released"))
            busy = await asyncio.to_thread(first_of, tmp_path)

            # when the others go, one after the other
            for left, process in enumerate((each for each in processes if each.pid != busy), start=1):
                process.terminate()
                await asyncio.to_thread(wait_until_there_are, asker, 3 - left)

            # then nothing of it was sent again
            assert redis_py.Redis.from_url(server.url).llen(redis_keys.batches("echo")) == 0
            (tmp_path / "released").touch()
            assert await held == f"until {tmp_path}/released"[::-1]


def wait_until_there_are(asker: Batcher, count: int) -> None:
    """So many replicas, as this gateway sees it."""
    deadline = time.monotonic() + PATIENCE_S
    while len(asker._channel.replicas) != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def first_of(folder: Path) -> int:
    """The process that is busy, when one is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := list(folder.glob("busy-*"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(found[0].name.removeprefix("busy-"))
