"""The replica's side of online predictions: a wake-up message starts it, and it answers batches until none waits."""

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

LINGER_S = 0.2  # idle time before a replica sleeps again
FULL_S = 5.0  # how long a reply is tried while Redis's memory is full
AWAKE_S = 0.5  # longest run, so that Celery handles heartbeats and SIGTERM in between

ANSWERS = Counter("tidepool_replica_answers_total", "Predictions that a replica answered.", ["pool", "outcome"])

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


class BatchAnswers(msgspec.Struct, frozen=True):
    """The answers to the questions of a batch, in order; the other fields as in Reply."""

    answers: list[Answer]
    inference_ms: float
    provider: str
    max_batch: int


Respond = Callable[[Target, tuple[Question, ...]], BatchAnswers]


class BatchHandler(NamedTuple):
    """Answers questions, `at_once` batches in parallel, so that one is decoded while another runs."""

    respond: Respond
    at_once: int = 1


class Responder:
    """Answers the batches of a pool in the thread that Celery calls; questions past their deadline are not computed."""

    def __init__(self, pool: str, client: "redis.Redis", handler: BatchHandler, wakeup: bytes, busy: Busy) -> None:
        self._pool = pool
        self._client = client
        self._respond = handler.respond
        self._extra_threads = handler.at_once - 1
        self._threads = ThreadPoolExecutor(max(1, self._extra_threads), thread_name_prefix="responder")
        self._wakeup = wakeup
        self._ok, self._failed = (ANSWERS.labels(pool, outcome) for outcome in ("ok", "failed"))
        self._busy = busy

    def run(self) -> None:
        """Answer batches until none arrives for LINGER_S, at most for AWAKE_S; raises redis.RedisError in an outage."""
        futures = [self._threads.submit(self._take) for _ in range(self._extra_threads)]
        try:
            self._take()
        finally:
            for future in futures:
                future.result()

    def _take(self) -> None:
        pop = ("BLPOP", redis_keys.batches(self._pool), LINGER_S)
        connection: Any = self._client.connection_pool.get_connection()  # untyped in redis-py
        try:
            deadline = time.monotonic() + AWAKE_S
            connection.send_command(*pop)
            while (response := connection.read_response()) is not None:
                batch = _decode(response[1])
                reply = _encode(self._reply(batch))
                commands = [("RPUSH", batch.reply_to, reply), ("EXPIRE", batch.reply_to, redis_keys.BATCH_TTL_S)]
                awake = time.monotonic() < deadline
                # send the reply and the next BLPOP in one round trip
                connection.send_packed_command(connection.pack_commands([*commands, pop] if awake else commands))
                self._finish(connection, batch.reply_to, reply)
                if not awake:
                    self._wake(connection)
                    return
        except BaseException:
            connection.disconnect()  # or outstanding replies would be read as those of the next commands
            raise
        finally:
            self._client.connection_pool.release(connection)

    def _finish(self, connection: Any, reply_to: str, reply: bytes) -> None:
        """Read the answers to the two commands of a reply; send it again while Redis has no memory for it."""
        try:
            connection.read_response()
            refused = False
        except redis.exceptions.OutOfMemoryError:
            refused = True
        connection.read_response()
        until = time.monotonic() + FULL_S
        while refused:
            time.sleep(FULL_S / 50)
            try:
                self._client.rpush(reply_to, reply)
                self._client.expire(reply_to, redis_keys.BATCH_TTL_S)
                refused = False
            except redis.exceptions.OutOfMemoryError:
                if time.monotonic() > until:
                    raise

    def _wake(self, connection: Any) -> None:
        """Push a wake-up message for the batches that still wait."""
        connection.send_command("LPUSH", redis_keys.wakeups(self._pool), self._wakeup)
        connection.read_response()

    def _reply(self, batch: Batch) -> Reply:
        now = time.time()
        live = tuple(question for question in batch.questions if question.deadline > now)
        result = self._result(batch.target, live) if live else _without_model([])
        answers = result.answers
        if len(live) < len(batch.questions):
            late = Failure(DeadlineExceeded.code, "the deadline passed before a replica was free")
            computed = iter(answers)
            answers = [next(computed) if question.deadline > now else late for question in batch.questions]
        failed = sum(isinstance(answer, Failure) for answer in answers)
        self._failed.inc(failed)
        self._ok.inc(len(answers) - failed)
        log.debug("batch", model=batch.target.label, version=batch.target.version, request_ids=_ids(batch.questions))
        return Reply(batch.id, tuple(answers), result.inference_ms, result.provider, result.max_batch)

    def _result(self, target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        use = Use(Purpose.ONLINE, target.model, project=target.project)
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
        return _without_model([failure] * len(questions))


def _without_model(answers: list[Answer]) -> BatchAnswers:
    """Wrap answers that were made without running a model."""
    return BatchAnswers(answers, 0.0, "", 0)


def _ids(questions: tuple[Question, ...]) -> list[str]:
    return [question.request_id for question in questions]
