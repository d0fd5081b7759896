"""When requests are sent, and in which batches."""

import asyncio
from functools import partial

import pytest

from contract.errors import DeadlineExceeded, Overloaded
from contract.inference import Target
from tests.unit.gateway.serving.batching.pool import ARTIFACT, TARGET, Pool, echo, settled

pytestmark = pytest.mark.anyio


async def test_a_request_that_finds_room_leaves_at_once() -> None:
    pool = Pool()

    answer = pool.ask("one")

    assert await pool.sent() == [["one"]]
    await pool.reply(0)
    assert await answer == "one"


async def test_requests_that_have_arrived_leave_together() -> None:
    pool = Pool()

    for text in ("one", "two", "three"):
        pool.ask(text)

    assert await pool.sent() == [["one", "two", "three"]]


async def test_requests_gather_while_batches_are_in_flight() -> None:
    # given as many flights as there may be
    pool = Pool(flights=2)
    for text in ("one", "two"):
        pool.ask(text)
        await settled()

    # when more requests come
    for text in ("three", "four", "five"):
        pool.ask(text)
    assert await pool.sent() == [["one"], ["two"]]

    # then they leave with the next replies, whichever these are: with another batch in flight, half of all requests
    await pool.reply(1)
    assert await pool.sent() == [["one"], ["two"], ["three", "four"]]

    # and with nothing in flight, all waiting requests
    await pool.reply(2)
    await pool.reply(0)
    assert (await pool.sent())[3:] == [["five"]]


async def test_a_small_batch_waits_for_more_while_another_is_in_flight() -> None:
    # given a replica that is busy with many requests
    pool = Pool(flights=2)
    for text in ("one", "two", "three", "four"):
        pool.ask(text)
    assert await pool.sent() == [["one", "two", "three", "four"]]

    # when few others come, then they wait
    pool.ask("five")
    pool.ask("six")
    assert len(await pool.sent()) == 1

    # until they are as many as those in flight
    pool.ask("seven")
    pool.ask("eight")
    assert (await pool.sent())[1:] == [["five", "six", "seven", "eight"]]


async def test_waiting_requests_leave_when_the_replica_is_idle() -> None:
    pool = Pool(flights=2)
    for text in ("one", "two", "three", "four"):
        pool.ask(text)
    await settled()
    pool.ask("five")

    await pool.reply(0)

    assert (await pool.sent())[1:] == [["five"]]


async def test_a_batch_has_at_most_the_maximum_size() -> None:
    pool = Pool(flights=1, batch=2)
    pool.ask("one")
    await settled()
    for text in ("two", "three", "four"):
        pool.ask(text)

    await pool.reply(0)
    assert await pool.sent() == [["one"], ["two", "three"]]
    await pool.reply(1)
    assert await pool.sent() == [["one"], ["two", "three"], ["four"]]


async def test_requests_are_divided_among_the_idle_replicas() -> None:
    pool = Pool(replicas=3)

    for number in range(7):
        pool.ask(str(number))

    assert [len(batch) for batch in await pool.sent()] == [3, 2, 2]


async def test_more_replicas_have_more_batches_in_flight() -> None:
    pool = Pool(replicas=3, flights=2)

    for number in range(10):
        pool.ask(str(number))
        await settled()

    assert await pool.sent() == [[str(number)] for number in range(6)]


async def test_a_pool_without_replicas_still_gets_batches() -> None:
    pool = Pool(replicas=0)

    pool.ask("one")

    assert await pool.sent() == [["one"]]


async def test_the_largest_batch_is_learned_from_the_replies() -> None:
    pool = Pool(flights=1)
    pool.channel.respond = partial(echo, max_batch=2)
    for text in ("one", "two", "three"):
        pool.ask(text)
    assert await pool.sent() == [["one", "two", "three"]]
    for text in ("four", "five", "six"):
        pool.ask(text)

    await pool.reply(0)

    assert (await pool.sent())[1:] == [["four", "five"]]


async def test_a_larger_batch_of_the_replica_does_not_raise_the_limit() -> None:
    pool = Pool(flights=1, batch=2)
    pool.ask("one")
    await pool.reply(0)

    for text in ("two", "three", "four"):
        pool.ask(text)

    assert (await pool.sent())[1:] == [["two", "three"]]


async def test_a_model_without_a_batch_axis_gets_batches_of_one() -> None:
    # given one whose replica speaks of batches
    pool = Pool(flights=1)
    target = Target("pet-cnn", 1, ARTIFACT, batched=False)
    for text in ("one", "two", "three"):
        pool.ask(text, target)

    # then no question shares a flight
    for number in range(3):
        await pool.reply(number)
    assert await pool.sent() == [["one"], ["two"], ["three"]]


async def test_versions_have_separate_batches_and_limits() -> None:
    pool = Pool(flights=1)
    other = Target("pet-cnn", 2, ARTIFACT)

    answers = [pool.ask(text, target) for text, target in (("a", TARGET), ("b", other), ("c", TARGET), ("d", other))]

    assert await pool.sent() == [["a", "c"], ["b", "d"]]
    assert [batch.target for batch in pool.channel.sent] == [TARGET, other]
    await pool.reply(1)
    await pool.reply(0)
    assert await asyncio.gather(*answers) == ["a", "b", "c", "d"]


async def test_a_request_beyond_the_limit_is_refused() -> None:
    pool = Pool(flights=1, waiting=2)
    answers = []
    for text in ("flies", "waits", "waits too"):
        answers.append(pool.ask(text))
        await settled()

    with pytest.raises(Overloaded):
        await pool.ask("too many")

    # and those who were let in are answered
    await pool.reply(0)
    await pool.reply(1)
    assert await asyncio.gather(*answers) == ["flies", "waits", "waits too"]


async def test_an_abandoned_request_frees_its_place() -> None:
    pool = Pool(flights=1, waiting=1)
    pool.ask("flies")
    await settled()
    left = pool.ask("leaves")
    await settled()

    left.cancel()
    await settled()
    pool.ask("comes later")

    # and nothing is computed for clients that left
    await pool.reply(0)
    assert await pool.sent() == [["flies"], ["comes later"]]


async def test_an_expired_request_frees_its_place() -> None:
    pool = Pool(flights=1, waiting=1)
    pool.ask("flies")
    await settled()
    with pytest.raises(DeadlineExceeded):
        await pool.ask("is late", within_s=0.001)

    pool.ask("comes later")

    await pool.reply(0)
    assert await pool.sent() == [["flies"], ["comes later"]]


async def test_a_batch_of_abandoned_requests_is_withdrawn() -> None:
    # given a flight of two, and one who waits for its place
    pool = Pool(flights=1)
    gone = [pool.ask("one"), pool.ask("two")]
    await settled()
    waits = pool.ask("three")
    await settled()

    # when one of the two leaves, the other still wants an answer
    gone[0].cancel()
    await settled()
    assert pool.channel.withdrawn == []

    # and when both have left, their place is free
    gone[1].cancel()
    assert await pool.sent() == [["one", "two"], ["three"]]
    assert pool.channel.withdrawn == pool.channel.sent[:1]
    await pool.reply(1)
    assert await waits == "three"


async def test_a_batch_of_expired_requests_is_withdrawn() -> None:
    pool = Pool()

    with pytest.raises(DeadlineExceeded):
        await pool.ask("one", within_s=0.001)

    assert pool.channel.withdrawn == pool.channel.sent != []


async def test_nothing_is_sent_if_all_requests_are_abandoned() -> None:
    pool = Pool(flights=1)
    pool.ask("flies")
    await settled()
    left = pool.ask("leaves")
    await settled()
    left.cancel()

    await pool.reply(0)

    assert await pool.sent() == [["flies"]]
