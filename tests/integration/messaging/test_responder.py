"""The responder of a replica in this process, on a real Redis."""

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
from contract.inference import (
    Answer,
    Artifact,
    Batch,
    EncodedImage,
    Failure,
    Outputs,
    Question,
    Reply,
    Scores,
    Target,
    Tensor,
)
from messaging import answering, redis_keys, responder
from messaging.answering import BatchAnswers, BatchHandler
from messaging.busy import Busy
from messaging.responder import Responder
from tests.support.servers import Server

TARGET = Target("pet-cnn", 1, Artifact("jobs", "none", 1, "0" * 64))
LATE, WAKEUP = "late", b"wake-up message"


class Replica:
    """A pool with one responder, and the questions that it computed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = redis_py.Redis.from_url(url)  # untyped: redis-py types sync and async clients alike
        self.pool = f"pool-{uuid.uuid4().hex}"
        self.computed: list[str] = []
        self.busy = Busy()
        self.before: Callable[[], object] = lambda: None
        self.responder = Responder(self.pool, self.client, BatchHandler(self.respond), WAKEUP, self.busy)

    def respond(self, _: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        self.before()
        names = [question.request_id for question in questions]
        self.computed += names
        return BatchAnswers([Scores(((name, 1.0),)) for name in names], 2.5, "CPUExecutionProvider", 8)

    def push(self, *names: str) -> str:
        """Push a batch of questions, late if so named, and return the address of its reply."""
        now, address = time.time(), f"replies-{uuid.uuid4().hex}"
        questions = (Question(EncodedImage(b""), now + (-1 if name.startswith(LATE) else 60), name) for name in names)
        batch = Batch(f"batch-{address}", address, TARGET, tuple(questions))
        self.client.rpush(redis_keys.batches(self.pool), msgspec.msgpack.encode(batch))
        return address

    def reply(self, address: str) -> Reply:
        """Return the only reply at an address."""
        (encoded,) = self.client.lrange(address, 0, -1)
        reply = msgspec.msgpack.decode(encoded, type=Reply)
        assert reply.id == f"batch-{address}"
        return reply

    def wakeups(self) -> list[bytes]:
        messages: list[bytes] = self.client.lrange(redis_keys.wakeups(self.pool), 0, -1)
        return messages

    def waiting(self) -> int:
        return int(self.client.llen(redis_keys.batches(self.pool)))


@pytest.fixture
def replica(redis: Server) -> Iterator[Replica]:
    replica = Replica(redis.url)
    yield replica
    replica.client.close()


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the responder stay awake for all batches even if this machine is slow."""
    monkeypatch.setattr(responder, "AWAKE_S", 30.0)


def named(*names: str) -> tuple[Answer, ...]:
    return tuple(Scores(((name, 1.0),)) for name in names)


def raises(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_all_waiting_batches_are_answered_at_their_addresses(replica: Replica) -> None:
    first, second = replica.push("a", "b"), replica.push("c")

    replica.responder.run()

    assert replica.reply(first).answers == named("a", "b")
    reply = replica.reply(second)
    assert reply.answers == named("c")
    assert (reply.inference_ms, reply.provider, reply.max_batch) == (2.5, "CPUExecutionProvider", 8)
    assert (replica.waiting(), replica.wakeups()) == (0, [])
    # the reply expires if its gateway is gone
    assert 0 < replica.client.ttl(first) <= redis_keys.BATCH_TTL_S


def test_without_batches_nothing_is_computed(replica: Replica) -> None:
    replica.responder.run()

    assert replica.computed == []


def test_a_late_question_is_not_computed(replica: Replica) -> None:
    address = replica.push("late 1", "a", "late 2", "b")

    replica.responder.run()

    assert replica.computed == ["a", "b"]
    late_1, a, late_2, b = replica.reply(address).answers
    assert (a, b) == named("a", "b")
    assert late_1 == late_2
    assert isinstance(late_1, Failure)
    assert late_1.code == "deadline_exceeded"


def test_a_batch_of_late_questions_is_answered_without_the_model(replica: Replica) -> None:
    replica.before = raises(AssertionError())
    address = replica.push("late 1", "late 2")

    replica.responder.run()

    assert [answer.code for answer in replica.reply(address).answers if isinstance(answer, Failure)] == [
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
def test_an_error_fails_every_question_of_its_batch_only(
    replica: Replica, error: Exception, code: str, message: str
) -> None:
    replica.before = raises(error)
    address, after = replica.push("a", "late", "b"), replica.push("c")

    replica.responder.run()

    reply = replica.reply(address)
    assert reply.answers[0] == reply.answers[2] == Failure(code, message)
    assert [answer.code for answer in reply.answers if isinstance(answer, Failure)] == [code, "deadline_exceeded", code]
    # and the next batch is answered
    assert len(replica.reply(after).answers) == 1


def test_a_responder_that_stops_while_batches_wait_sends_a_wake_up_message(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "AWAKE_S", -1.0)
    first, second = replica.push("a"), replica.push("b")

    replica.responder.run()

    assert replica.reply(first).answers == named("a")
    assert (replica.waiting(), replica.wakeups()) == (1, [WAKEUP])
    replica.responder.run()
    assert replica.reply(second).answers == named("b")


def test_a_broken_connection_loses_one_batch_and_mixes_up_no_replies(replica: Replica, redis: Server) -> None:
    # given a connection that is lost while a batch is computed
    lost = replica.push("lost")
    other = redis_py.Redis.from_url(redis.url)
    replica.before = lambda: other.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(redis_py.ConnectionError):
        replica.responder.run()

    # when the next wake-up message arrives
    replica.before = lambda: None
    address = replica.push("a")
    replica.responder.run()

    # then the lost batch has no reply; its gateway will send it again
    assert replica.reply(address).answers == named("a")
    assert replica.client.exists(lost) == 0


def test_answers_that_are_too_large_together_fail(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "LARGEST_ANSWER", 25)
    answers: list[Answer] = [Outputs((Tensor("y", "UINT8", (10,), bytes(10)),)) for _ in range(3)]
    handler = BatchHandler(lambda target, questions: BatchAnswers(answers, 1.0, "", 8))
    replica.responder = Responder(replica.pool, replica.client, handler, WAKEUP, replica.busy)
    address = replica.push("a", "b", "c")

    replica.responder.run()

    *fitting, failure = replica.reply(address).answers
    assert fitting == answers[:2]
    assert isinstance(failure, Failure)
    assert failure.code == "overloaded"


def test_questions_are_counted(replica: Replica) -> None:
    replica.push("a", "late", "b")

    replica.responder.run()

    counts = [
        REGISTRY.get_sample_value("tidepool_replica_answers_total", {"pool": replica.pool, "outcome": outcome})
        for outcome in ("ok", "failed")
    ]
    assert counts == [2, 1]


def test_two_batches_are_handled_in_parallel(replica: Replica) -> None:
    # given a handler that finishes a batch only when a second one has started
    barrier = threading.Barrier(2, timeout=30)
    replica.before = barrier.wait
    replica.responder = Responder(
        replica.pool, replica.client, BatchHandler(replica.respond, at_once=2), WAKEUP, replica.busy
    )
    addresses = [replica.push(name) for name in ("a", "b", "c", "d")]

    replica.responder.run()

    assert [replica.reply(address).answers for address in addresses] == [named(name) for name in ("a", "b", "c", "d")]
    assert sorted(replica.computed) == ["a", "b", "c", "d"]


def test_an_outage_during_parallel_batches_is_raised(replica: Replica) -> None:
    other: Any = redis_py.Redis.from_url(replica.url)
    replica.before = lambda: other.client_kill_filter(_type="normal", skipme=True)
    replica.responder = Responder(
        replica.pool, replica.client, BatchHandler(replica.respond, at_once=2), WAKEUP, replica.busy
    )
    replica.push("a")

    with pytest.raises(redis_py.ConnectionError):
        replica.responder.run()
