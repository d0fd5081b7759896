"""A replica's side of the online path, on a real Redis, in this process."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import redis as redis_py
from prometheus_client import REGISTRY

from contract.errors import BadModel
from contract.inference import Answer, Artifact, Batch, EncodedImage, Failure, Question, Reply, Scores, Target
from messaging import redis_keys, responder
from messaging.busy import Busy
from messaging.responder import BatchAnswers, BatchHandler, Responder
from tests.support.servers import Server

TARGET = Target("pet-cnn", 1, Artifact("jobs", "none", 1, "0" * 64))
LATE, WAKEUP = "late", b"a bell"


class Asked:
    """A pool of one replica, what its batches are answered by, and what it was asked to compute."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = redis_py.Redis.from_url(url)  # whose types are those of every client
        self.pool = f"pool-{uuid.uuid4().hex}"
        self.computed: list[str] = []
        self.busy = Busy()
        self.before: Callable[[], object] = lambda: None
        self.drain = Responder(self.pool, self.client, BatchHandler(self.respond), WAKEUP, self.busy)

    def respond(self, _: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        self.before()
        names = [question.request_id for question in questions]
        self.computed += names
        return BatchAnswers([Scores(((name, 1.0),)) for name in names], 2.5, "CPUExecutionProvider", 8)

    def push(self, *names: str) -> str:
        """Send a batch of questions by name, of which some are late; says where its reply goes."""
        now, address = time.time(), f"replies-{uuid.uuid4().hex}"
        questions = (Question(EncodedImage(b""), now + (-1 if name.startswith(LATE) else 60), name) for name in names)
        batch = Batch(f"batch-{address}", address, TARGET, tuple(questions))
        self.client.rpush(redis_keys.batches(self.pool), msgspec.msgpack.encode(batch))
        return address

    def reply(self, address: str) -> Reply:
        """The one reply that came there."""
        (found,) = self.client.lrange(address, 0, -1)
        reply = msgspec.msgpack.decode(found, type=Reply)
        assert reply.id == f"batch-{address}"
        return reply

    def wakeups(self) -> list[bytes]:
        found: list[bytes] = self.client.lrange(redis_keys.wakeups(self.pool), 0, -1)
        return found

    def waiting(self) -> int:
        return int(self.client.llen(redis_keys.batches(self.pool)))


@pytest.fixture
def asked(redis: Server) -> Iterator[Asked]:
    asked = Asked(redis.url)
    yield asked
    asked.client.close()


def named(*names: str) -> tuple[Answer, ...]:
    return tuple(Scores(((name, 1.0),)) for name in names)


def raises(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_all_that_waits_is_answered_where_it_was_asked(asked: Asked) -> None:
    first, second = asked.push("a", "b"), asked.push("c")

    asked.drain.run()

    assert asked.reply(first).answers == named("a", "b")
    reply = asked.reply(second)
    assert reply.answers == named("c")
    assert (reply.inference_ms, reply.provider, reply.max_batch) == (2.5, "CPUExecutionProvider", 8)
    assert (asked.waiting(), asked.wakeups()) == (0, [])
    # a gateway that is gone takes nothing
    assert 0 < asked.client.ttl(first) <= redis_keys.KEEP_S


def test_nothing_waits(asked: Asked) -> None:
    asked.drain.run()

    assert asked.computed == []


def test_a_late_question_is_not_computed(asked: Asked) -> None:
    address = asked.push("late 1", "a", "late 2", "b")

    asked.drain.run()

    assert asked.computed == ["a", "b"]
    late_1, a, late_2, b = asked.reply(address).answers
    assert (a, b) == named("a", "b")
    assert late_1 == late_2
    assert isinstance(late_1, Failure)
    assert late_1.code == "deadline_exceeded"


def test_a_batch_that_nobody_waits_for_is_answered_without_a_model(asked: Asked) -> None:
    asked.before = raises(AssertionError())
    address = asked.push("late 1", "late 2")

    asked.drain.run()

    assert [answer.code for answer in asked.reply(address).answers if isinstance(answer, Failure)] == [
        "deadline_exceeded"
    ] * 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BadModel("the file is no model"), "bad_model", "the file is no model"),
        (ZeroDivisionError("secret detail"), "internal", "an internal error"),
    ],
    ids=repr,
)
def test_a_failure_is_an_answer_to_every_question(asked: Asked, error: Exception, code: str, message: str) -> None:
    asked.before = raises(error)
    address, after = asked.push("a", "late", "b"), asked.push("c")

    asked.drain.run()

    found = asked.reply(address)
    assert found.answers[0] == found.answers[2] == Failure(code, message)
    assert [answer.code for answer in found.answers if isinstance(answer, Failure)] == [code, "deadline_exceeded", code]
    # and the drain goes on
    assert len(asked.reply(after).answers) == 1


def test_who_was_awake_for_long_wakes_somebody_for_the_rest(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "AWAKE_S", -1.0)
    first, second = asked.push("a"), asked.push("b")

    asked.drain.run()

    assert asked.reply(first).answers == named("a")
    assert (asked.waiting(), asked.wakeups()) == (1, [WAKEUP])
    asked.drain.run()
    assert asked.reply(second).answers == named("b")


def test_a_connection_that_breaks_takes_one_batch_along_and_mixes_up_nothing(asked: Asked, redis: Server) -> None:
    # given a connection that is lost while a batch is computed
    lost = asked.push("lost")
    other = redis_py.Redis.from_url(redis.url)
    asked.before = lambda: other.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(redis_py.ConnectionError):
        asked.drain.run()

    # when the next wakeup is heard
    asked.before = lambda: None
    address = asked.push("a")
    asked.drain.run()

    # then only the gateway can know what was lost, and will send it again
    assert asked.reply(address).answers == named("a")
    assert asked.client.exists(lost) == 0


def test_a_value_that_is_no_batch_is_in_nobodys_way(asked: Asked) -> None:
    asked.client.rpush(redis_keys.batches(asked.pool), b"garbage")
    address = asked.push("a")

    with pytest.raises(msgspec.DecodeError):
        asked.drain.run()
    asked.drain.run()

    assert asked.reply(address).answers == named("a")


def test_questions_are_counted(asked: Asked) -> None:
    asked.push("a", "late", "b")

    asked.drain.run()

    counts = [
        REGISTRY.get_sample_value("tidepool_questions_total", {"pool": asked.pool, "outcome": outcome})
        for outcome in ("ok", "failed")
    ]
    assert counts == [2, 1]


def test_one_batch_is_prepared_while_another_runs(asked: Asked) -> None:
    # given a replica that works on two batches at once, and on each until both are under way
    both = threading.Barrier(2, timeout=30)
    asked.before = both.wait
    asked.drain = Responder(asked.pool, asked.client, BatchHandler(asked.respond, at_once=2), WAKEUP, asked.busy)
    addresses = [asked.push(name) for name in ("a", "b", "c", "d")]

    asked.drain.run()

    assert [asked.reply(address).answers for address in addresses] == [named(name) for name in ("a", "b", "c", "d")]
    assert sorted(asked.computed) == ["a", "b", "c", "d"]


def test_an_outage_while_two_batches_are_under_way_is_told(asked: Asked) -> None:
    other: Any = redis_py.Redis.from_url(asked.url)
    asked.before = lambda: other.client_kill_filter(_type="normal", skipme=True)
    asked.drain = Responder(asked.pool, asked.client, BatchHandler(asked.respond, at_once=2), WAKEUP, asked.busy)
    asked.push("a")

    with pytest.raises(redis_py.ConnectionError):
        asked.drain.run()
