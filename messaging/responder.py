"""The replica's side of the online path: a wakeup wakes it, it takes batches until none comes, and sleeps again."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
import redis
import structlog
from prometheus_client import Counter

from contract.errors import DeadlineExceeded, TidepoolError
from contract.inference import Answer, Batch, Failure, Question, Reply, Target
from contract.usage import Purpose, Use
from messaging import redis_keys
from messaging.busy import Busy

log = structlog.get_logger()

LINGER_S = 0.2  # without a batch, until a replica sleeps again
AWAKE_S = 0.5  # at most, so that Celery's remote control is heard in between

QUESTIONS = Counter("tidepool_questions_total", "Questions that a pool answered.", ["pool", "outcome"])

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


class BatchAnswers(msgspec.Struct, frozen=True):
    """The answers to questions, in their order; the rest is as in Reply."""

    answers: list[Answer]
    inference_ms: float
    provider: str
    max_batch: int


Respond = Callable[[Target, tuple[Question, ...]], BatchAnswers]


class BatchHandler(NamedTuple):
    """What answers questions, and how many batches it works on at once, so that one is decoded while another runs."""

    respond: Respond
    at_once: int = 1


class Responder:
    """Answers the batches of a pool in the thread that Celery calls; a question past its deadline is not computed."""

    def __init__(self, pool: str, client: "redis.Redis", responder: BatchHandler, wakeup: bytes, busy: Busy) -> None:
        self._pool = pool
        self._client = client
        self._respond = responder.respond
        self._others = responder.at_once - 1
        self._threads = ThreadPoolExecutor(max(1, self._others), thread_name_prefix="drain")
        self._wakeup = wakeup
        self._ok, self._failed = (QUESTIONS.labels(pool, outcome) for outcome in ("ok", "failed"))
        self._busy = busy

    def run(self) -> None:
        """Take batches until none has come for a moment; raises redis.RedisError when Redis is away."""
        others = [self._threads.submit(self._take) for _ in range(self._others)]
        try:
            self._take()
        finally:
            for other in others:
                other.result()

    def _take(self) -> None:
        take = ("BLPOP", redis_keys.batches(self._pool), LINGER_S)
        connection: Any = self._client.connection_pool.get_connection()  # untyped in redis-py
        try:
            until = time.monotonic() + AWAKE_S
            connection.send_command(*take)
            while (found := connection.read_response()) is not None:
                batch = _decode(found[1])
                reply = _encode(self._reply(batch))
                commands = [("RPUSH", batch.reply_to, reply), ("EXPIRE", batch.reply_to, redis_keys.KEEP_S)]
                on = time.monotonic() < until
                # the reply and the next question to Redis share one way
                connection.send_packed_command(connection.pack_commands([*commands, take] if on else commands))
                for _ in commands:
                    connection.read_response()
                if not on:
                    self._wake(connection)
                    return
        except BaseException:
            connection.disconnect()  # its replies would be taken for those to the next commands
            raise
        finally:
            self._client.connection_pool.release(connection)

    def _wake(self, connection: Any) -> None:
        """Wake somebody for what is left."""
        connection.send_command("LPUSH", redis_keys.wakeups(self._pool), self._wakeup)
        connection.read_response()

    def _reply(self, batch: Batch) -> Reply:
        now = time.time()
        live = tuple(question for question in batch.questions if question.deadline > now)
        answered = self._answered(batch.target, live) if live else _none([])
        answers = answered.answers
        if len(live) < len(batch.questions):
            late = Failure(DeadlineExceeded.code, "the deadline passed before a replica was free")
            computed = iter(answers)
            answers = [next(computed) if question.deadline > now else late for question in batch.questions]
        failed = sum(isinstance(answer, Failure) for answer in answers)
        self._failed.inc(failed)
        self._ok.inc(len(answers) - failed)
        log.debug("batch", model=batch.target.model, version=batch.target.version, request_ids=_ids(batch.questions))
        return Reply(batch.id, tuple(answers), answered.inference_ms, answered.provider, answered.max_batch)

    def _answered(self, target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        use = Use(Purpose.ONLINE, target.model)
        self._busy.begin(use)
        try:
            return self._respond(target, questions)
        except TidepoolError as error:
            log.warning("batch failed", code=error.code, request_ids=_ids(questions), exc_info=True)
            failure = Failure(error.code, error.message)
        except Exception:
            log.exception("batch failed", code=TidepoolError.code, request_ids=_ids(questions))
            failure = Failure(TidepoolError.code, "an internal error")
        finally:
            self._busy.end(use)
        return _none([failure] * len(questions))


def _none(answers: list[Answer]) -> BatchAnswers:
    """Answers for which no model ran."""
    return BatchAnswers(answers, 0.0, "", 0)


def _ids(questions: tuple[Question, ...]) -> list[str]:
    return [question.request_id for question in questions]
