"""The bytes that a gateway has in Redis are bounded over all models, and every request is still answered."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import Overloaded
from contract.inference import Batch, EncodedImage, Target
from services.gateway.serving.batching.request import BatchedAnswer
from tests.unit.gateway.serving.batching.pool import ARTIFACT, TARGET, Pool, settled, texts

pytestmark = pytest.mark.anyio

LIMIT = 1_000_000
LARGE = "x" * 400_000


def target(number: int) -> Target:
    return Target(f"model-{number}", 1, ARTIFACT)


def size_of(batches: Iterable[Batch]) -> int:
    return sum(len(text) for batch in batches for text in texts(batch))


async def test_large_batches_wait_for_room_and_small_ones_do_not() -> None:
    # given large images for several models, sent at the same time
    pool = Pool(flight_bytes=LIMIT)
    large = [pool.ask(LARGE, target(number)) for number in range(4)]
    assert await pool.sent() == [[LARGE]]

    # when a small one comes for another model, then it is sent at once
    small = pool.ask("small")
    assert (await pool.sent())[1:] == [["small"]]
    await pool.reply(1)
    assert await small == "small"

    # and each reply lets the next large one go, in their order
    for number in (0, 2, 3, 4):
        await pool.reply(number)
    assert [batch.target for batch in pool.channel.sent] == [target(0), TARGET, target(1), target(2), target(3)]
    assert await asyncio.gather(*large) == [LARGE] * 4


async def test_a_batch_of_several_images_is_divided_by_their_bytes() -> None:
    pool = Pool(flight_bytes=LIMIT, flights=1)
    for number in range(4):
        pool.ask(str(number) * 50_000)

    await pool.reply(0)

    assert [len(batch) for batch in await pool.sent()] == [2, 2]


async def test_batches_of_clients_that_left_or_waited_too_long_give_their_bytes_back() -> None:
    # given callers without a future, as in the fast path, whose requests expire in flight and in the queue
    pool = Pool(flight_bytes=LIMIT)
    outcomes: list[BatchedAnswer | Exception] = []
    for number in range(3):
        image = EncodedImage(LARGE.encode())
        pool.batcher.post(target(number), image, 0.01, "id", outcomes.append)
    while len(outcomes) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    # then their batches are withdrawn
    await settled()
    assert pool.channel.withdrawn == pool.channel.sent != []

    # and there is room again
    pool.ask(LARGE)
    assert (await pool.sent())[-1] == [LARGE]


async def test_a_batch_that_the_broker_refuses_fails_alone() -> None:
    pool = Pool(flight_bytes=LIMIT)
    refused, other = pool.ask("refused"), pool.ask("other", target(1))
    waiting = pool.ask(LARGE, target(2)), pool.ask(LARGE, target(3))
    await settled()

    pool.batcher.refused(pool.channel.sent[0].id, Overloaded("the broker's memory is full"))
    pool.batcher.refused(pool.channel.sent[0].id, Overloaded("twice"))
    pool.batcher.refused(pool.channel.sent[2].id, Overloaded("the broker's memory is full"))

    with pytest.raises(Overloaded, match="memory is full"):
        await refused
    with pytest.raises(Overloaded):
        await waiting[0]
    await pool.reply(1)
    await pool.reply(3)
    assert (await other, await waiting[1]) == ("other", LARGE)


async def test_a_batch_that_may_be_lost_is_not_in_redis_twice() -> None:
    pool = Pool(flight_bytes=LIMIT)
    answer = pool.ask("one")
    await settled()

    pool.batcher.lost()

    assert pool.channel.withdrawn == pool.channel.sent[:1]
    await pool.reply(1)
    assert await answer == "one"


STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 4), st.sampled_from([10, 70_000, 200_000, 700_000])),
    st.tuples(st.just("reply"), st.integers(0, 20), st.just(0)),
    st.tuples(st.just("leave"), st.integers(0, 20), st.just(0)),
    st.tuples(st.just("refuse"), st.integers(0, 20), st.just(0)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_limit_holds_and_no_request_is_forgotten(steps: list[tuple[str, int, int]]) -> None:
    async def check() -> None:
        pool = Pool(flight_bytes=LIMIT, waiting_bytes=10 * LIMIT)
        tasks: list[asyncio.Task[str]] = []
        ended: list[str] = []

        def in_flight() -> list[Batch]:
            gone = {*ended, *(batch.id for batch in pool.channel.withdrawn)}
            return [batch for batch in pool.channel.sent if batch.id not in gone]

        async def end(kind: str, batch: Batch) -> None:
            ended.append(batch.id)
            if kind == "reply":
                await pool.channel.answer(batch)
            else:
                pool.batcher.refused(batch.id, Overloaded("full"))

        for kind, number, size in steps:
            if kind == "ask":
                tasks.append(pool.ask("x" * size, target(number)))
            elif kind == "leave" and tasks:
                tasks[number % len(tasks)].cancel()
            elif kind in {"reply", "refuse"} and (batches := in_flight()):
                await end(kind, batches[number % len(batches)])
            await settled()
            assert size_of(in_flight()) <= LIMIT
        while batches := in_flight():
            await end("reply", batches[0])
            await settled()
        assert all(task.done() for task in tasks)
        for task in tasks:
            if not task.cancelled():
                assert task.exception() is None or isinstance(task.exception(), Overloaded)

    asyncio.run(check())
