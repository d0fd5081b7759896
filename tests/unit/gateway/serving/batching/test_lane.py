"""When requests are sent, and in which batches."""

import asyncio
from functools import partial

import pytest

from contract.errors import DeadlineExceeded, Overloaded
from contract.inference import Target
from tests.unit.gateway.serving.batching.pool import ARTIFACT, TARGET, Pool, echo, settled

pytestmark = pytest.mark.anyio


async def test_a_request_is_sent_at_once_if_there_is_room() -> None:
    pool = Pool()

    answer = pool.ask("one")

    assert await pool.sent() == [["one"]]
    await pool.reply(0)
    assert await answer == "one"


async def test_requests_that_arrive_together_share_a_batch() -> None:
    pool = Pool()

    for text in ("one", "two", "three"):
        pool.ask(text)

    assert await pool.sent() == [["one", "two", "three"]]


async def test_requests_accumulate_while_batches_are_in_flight() -> None:
    # given the maximum of batches in flight
    pool = Pool(flights=2)
    for text in ("one", "two"):
        pool.ask(text)
        await settled()

    # when more requests arrive
    for text in ("three", "four", "five"):
        pool.ask(text)
    assert await pool.sent() == [["one"], ["two"]]

    # then each reply sends some of them: half of all requests while another batch is in flight
    await pool.reply(1)
    assert await pool.sent() == [["one"], ["two"], ["three", "four"]]

    # and all waiting requests if nothing is in flight
    await pool.reply(2)
    await pool.reply(0)
    assert (await pool.sent())[3:] == [["five"]]


async def test_a_small_batch_waits_for_more_while_another_is_in_flight() -> None:
    # given a replica that is busy with many requests
    pool = Pool(flights=2)
    for text in ("one", "two", "three", "four"):
        pool.ask(text)
    assert await pool.sent() == [["one", "two", "three", "four"]]

    # when fewer requests arrive, then they wait
    pool.ask("five")
    pool.ask("six")
    assert len(await pool.sent()) == 1

    # when they are as many as those in flight, then they are sent
    pool.ask("seven")
    pool.ask("eight")
    assert (await pool.sent())[1:] == [["five", "six", "seven", "eight"]]


async def test_waiting_requests_are_sent_when_the_replica_is_idle() -> None:
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
    # given a model without a batch axis, whose replica reports a larger maximum
    pool = Pool(flights=1)
    target = Target("pet-cnn", 1, ARTIFACT, batched=False)
    for text in ("one", "two", "three"):
        pool.ask(text, target)

    # then each request is sent alone
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
    for text in ("in flight", "waiting", "also waiting"):
        answers.append(pool.ask(text))
        await settled()

    with pytest.raises(Overloaded):
        await pool.ask("too many")

    # and the accepted requests are answered
    await pool.reply(0)
    await pool.reply(1)
    assert await asyncio.gather(*answers) == ["in flight", "waiting", "also waiting"]


async def test_an_abandoned_request_frees_its_slot() -> None:
    pool = Pool(flights=1, waiting=1)
    pool.ask("in flight")
    await settled()
    abandoned = pool.ask("abandoned")
    await settled()

    abandoned.cancel()
    await settled()
    pool.ask("later")

    # and the abandoned request is not sent
    await pool.reply(0)
    assert await pool.sent() == [["in flight"], ["later"]]


async def test_an_expired_request_frees_its_slot() -> None:
    pool = Pool(flights=1, waiting=1)
    pool.ask("in flight")
    await settled()
    with pytest.raises(DeadlineExceeded):
        await pool.ask("expired", within_s=0.001)

    pool.ask("later")

    await pool.reply(0)
    assert await pool.sent() == [["in flight"], ["later"]]


async def test_a_batch_of_abandoned_requests_is_withdrawn() -> None:
    # given a batch of two in flight, and a waiting request
    pool = Pool(flights=1)
    abandoned = [pool.ask("one"), pool.ask("two")]
    await settled()
    waiting_request = pool.ask("three")
    await settled()

    # when one of the two is abandoned, then the batch stays in flight
    abandoned[0].cancel()
    await settled()
    assert pool.channel.withdrawn == []

    # and when both are abandoned, then the waiting request is sent
    abandoned[1].cancel()
    assert await pool.sent() == [["one", "two"], ["three"]]
    assert pool.channel.withdrawn == pool.channel.sent[:1]
    await pool.reply(1)
    assert await waiting_request == "three"


async def test_a_batch_of_expired_requests_is_withdrawn() -> None:
    pool = Pool()

    with pytest.raises(DeadlineExceeded):
        await pool.ask("one", within_s=0.001)

    assert pool.channel.withdrawn == pool.channel.sent != []


async def test_nothing_is_sent_if_all_requests_are_abandoned() -> None:
    pool = Pool(flights=1)
    pool.ask("in flight")
    await settled()
    abandoned = pool.ask("abandoned")
    await settled()
    abandoned.cancel()

    await pool.reply(0)

    assert await pool.sent() == [["in flight"]]
