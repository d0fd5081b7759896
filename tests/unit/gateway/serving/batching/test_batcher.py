"""The outcome of each request when its batch is answered, lost, withdrawn or abandoned."""

import asyncio

import msgspec
import pytest

from contract import __version__
from contract.errors import BadImage, BrokerUnavailable, DeadlineExceeded, Unavailable
from contract.inference import Batch, EncodedImage, Failure, Reply, Scores
from contract.reports import GatewayReport
from services.gateway.edge.request_id import named
from tests.unit.gateway.serving.batching.pool import PATIENCE_S, TARGET, Pool, echo, settled

pytestmark = pytest.mark.anyio


async def test_an_answer_has_its_provider_and_batch_size() -> None:
    pool = Pool()
    pool.channel.held = False

    one, two = await asyncio.gather(
        *(pool.batcher.ask(TARGET, EncodedImage(text), PATIENCE_S) for text in (b"one", b"two"))
    )

    assert (one.answer, two.answer) == (Scores((("one", 1.0),)), Scores((("two", 1.0),)))
    assert (one.batch_size, one.provider, one.inference_ms) == (2, "CPUExecutionProvider", 1.5)
    assert one.queue_ms >= 0


async def test_a_question_carries_its_deadline_and_its_requests_id() -> None:
    pool = Pool()
    with named("trace-7"):
        pool.ask("early", within_s=50)
        pool.ask("late", within_s=60)

    await settled()
    early, late = pool.channel.sent[0].questions
    assert early.request_id == late.request_id == "trace-7"
    assert late.deadline - early.deadline == pytest.approx(10, abs=1)
    assert pool.channel.sent[0].reply_to == pool.channel.address


async def test_replies_in_another_order_are_not_mixed_up() -> None:
    pool = Pool(flights=3)
    answers = []
    for text in ("one", "two", "three"):
        answers.append(pool.ask(text))
        await settled()

    for number in (2, 0, 1):
        await pool.reply(number)

    assert await asyncio.gather(*answers) == ["one", "two", "three"]


async def test_a_failure_affects_only_its_own_request() -> None:
    pool = Pool()
    pool.channel.held = False

    one, bad, two = await asyncio.gather(*map(pool.ask, ("one", "bad", "two")), return_exceptions=True)

    assert (one, two) == ("one", "two")
    assert isinstance(bad, BadImage)
    assert bad.message == "the file is damaged"


async def test_a_request_without_an_answer_in_time_fails() -> None:
    pool = Pool()

    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        await pool.ask("one", within_s=0.01)


async def test_a_ping_is_an_empty_batch_that_a_replica_answers() -> None:
    pool = Pool()
    pool.channel.held = False

    assert 0 <= await pool.batcher.ping_replica(PATIENCE_S) < PATIENCE_S

    (batch,) = pool.channel.sent
    assert (batch.questions, batch.reply_to) == ((), pool.channel.address)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch  # a replica would not drop it


async def test_a_ping_without_an_answer_is_withdrawn() -> None:
    pool = Pool()

    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        await pool.batcher.ping_replica(0.01)

    assert pool.channel.withdrawn == pool.channel.sent
    await pool.reply(0)  # a late answer changes nothing


async def test_a_ping_that_the_broker_refuses_fails() -> None:
    pool = Pool()
    ping = asyncio.create_task(pool.batcher.ping_replica(PATIENCE_S))
    await settled()

    pool.batcher.refused(pool.channel.sent[0].id, BrokerUnavailable("full"))

    with pytest.raises(BrokerUnavailable):
        await ping


async def test_a_batch_that_may_be_lost_is_sent_once_more() -> None:
    pool = Pool()
    answers = [pool.ask("one"), pool.ask("two")]
    await settled()

    pool.batcher.lost()

    assert pool.channel.sent == pool.channel.sent[:1] * 2
    await pool.reply(1)
    assert await asyncio.gather(*answers) == ["one", "two"]


async def test_a_batch_that_is_lost_twice_fails() -> None:
    pool = Pool(flights=1)
    lost = pool.ask("lost")
    await settled()
    pool.batcher.lost()
    waiting = pool.ask("waiting")
    await settled()

    pool.batcher.lost()

    with pytest.raises(Unavailable):
        await lost
    # and the waiting request takes its slot
    assert (await pool.sent())[2:] == [["waiting"]]
    await pool.reply(2)
    assert await waiting == "waiting"


async def test_a_second_reply_is_dropped() -> None:
    pool = Pool()
    answer = pool.ask("one")
    await pool.reply(0)
    other = pool.ask("two")
    await settled()

    # when the first batch is answered twice
    await pool.reply(0)

    assert await answer == "one"
    assert not other.done()
    await pool.reply(1)
    assert await other == "two"


async def test_a_reply_to_a_withdrawn_batch_is_dropped() -> None:
    pool = Pool(flights=1)
    abandoned = pool.ask("abandoned")
    await settled()
    abandoned.cancel()
    remaining = pool.ask("remaining")
    await settled()

    await pool.reply(0)

    assert not remaining.done()
    await pool.reply(1)
    assert await remaining == "remaining"


async def test_a_reply_to_an_unknown_batch_is_dropped() -> None:
    pool = Pool()
    pool.ask("one")
    await settled()

    pool.batcher.replied(Reply("unknown", (Failure("internal", "an internal error"),), 0.0, "", 0))

    assert await pool.sent() == [["one"]]


async def test_an_outage_fails_requests_immediately_until_it_ends() -> None:
    pool = Pool()
    pool.channel.refuses = True
    with pytest.raises(BrokerUnavailable):
        await pool.ask("one")
    with pytest.raises(BrokerUnavailable):
        await pool.batcher.ping()

    pool.channel.refuses = False

    await pool.batcher.ping()
    answer = pool.ask("two")
    await pool.reply(0)
    assert await answer == "two"


async def test_an_outage_during_the_second_sending_fails_the_requests() -> None:
    pool = Pool()
    answer = pool.ask("one")
    await settled()

    pool.channel.refuses = True
    pool.batcher.lost()

    with pytest.raises(BrokerUnavailable):
        await answer


async def test_an_abandoned_request_does_not_affect_its_batch() -> None:
    pool = Pool()
    abandoned, remaining = pool.ask("abandoned"), pool.ask("remaining")
    await settled()

    abandoned.cancel()
    await pool.reply(0)

    assert await remaining == "remaining"
    assert abandoned.cancelled()


async def test_waiting_requests_are_counted_until_answered_or_abandoned() -> None:
    # given one request in flight, and two that wait
    pool = Pool(flights=1)
    answered, abandoned, _ = [(pool.ask(text), await settled())[0] for text in ("one", "two", "three")]
    assert pool.batcher.report() == GatewayReport(waiting=3, per_minute=0.0, version=__version__)

    abandoned.cancel()
    await settled()
    assert pool.batcher.report().waiting == 2

    await pool.reply(0)
    await answered
    report = pool.batcher.report()
    assert report.waiting == 1
    assert report.per_minute > 0


async def test_a_batch_without_replicas_is_announced_immediately() -> None:
    pool = Pool(replicas=0, flights=1)

    for text in ("one", "two"):
        pool.ask(text)
    await settled()

    assert pool.channel.announced == [2]


async def test_a_batch_with_replicas_is_not_announced() -> None:
    pool = Pool(replicas=1)

    pool.ask("one")
    await settled()

    assert pool.channel.announced == []


async def test_an_error_of_the_whole_batch_fails_every_request() -> None:
    pool = Pool()

    def fail(*_: object) -> None:
        raise BadImage("nothing can be read")

    pool.channel.respond = fail  # type: ignore[assignment]
    answers = [pool.ask("one"), pool.ask("two")]

    await pool.reply(0)

    assert [type(result) for result in await asyncio.gather(*answers, return_exceptions=True)] == [BadImage] * 2
    # and the next request is answered
    pool.channel.respond = echo
    again = pool.ask("three")
    await pool.reply(1)
    assert await again == "three"
