"""The replica's side of online predictions: a wake-up message starts it, and it answers batches until none waits."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
import redis
import structlog
from prometheus_client import Counter

from contract.errors import DeadlineExceeded, Overloaded, TidepoolError
from contract.inference import LARGEST_ANSWER, Answer, Batch, Failure, Outputs, Question, Reply, Target
from contract.usage import Purpose, Use
from messaging import redis_keys
from messaging.busy import Busy
from messaging.dropped import decoded, drop

log = structlog.get_logger()

LINGER_S = 0.2  # idle time before a replica sleeps again
FULL_S = 5.0  # how long a reply is tried while Redis's memory is full
AWAKE_S = 0.5  # longest run, so that Celery handles heartbeats and SIGTERM in between

QUESTIONS = Counter("tidepool_questions_total", "Questions that a pool answered.", ["pool", "outcome"])

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


class BatchAnswers(msgspec.Struct, frozen=True):
    """The answers to the questions of a batch, in order; the other fields as in Reply."""

    answers: list[Answer]
    inference_ms: float
    provider: str
    max_batch: int


Command = tuple[Any, ...]

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
        self._ok, self._failed = (QUESTIONS.labels(pool, outcome) for outcome in ("ok", "failed"))
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
                commands = self._answer(response[1])
                awake = time.monotonic() < deadline
                # send the reply and the next BLPOP in one round trip
                connection.send_packed_command(connection.pack_commands([*commands, pop] if awake else commands))
                if commands:
                    self._finish(connection, commands)
                if not awake:
                    self._wake(connection)
                    return
        except BaseException as error:
            connection.disconnect()  # or outstanding replies would be read as those of the next commands
            if isinstance(error, redis.ResponseError) and redis_keys.is_wrong_type(error):
                log.warning("key deleted, it was not a list of batches", pool=self._pool)
                self._client.delete(redis_keys.batches(self._pool))
            raise
        finally:
            self._client.connection_pool.release(connection)

    def _answer(self, message: bytes) -> list[Command]:
        """Compute a batch; return the commands that send the reply, none for a damaged batch."""
        batch = decoded("batch", _decode, message)
        if batch is None:
            return []
        reply = _encode(self._reply(batch))
        return [("RPUSH", batch.reply_to, reply), ("EXPIRE", batch.reply_to, redis_keys.BATCH_TTL_S)]

    def _finish(self, connection: Any, commands: list[Command]) -> None:
        """Read the answers to the commands of a reply; send it again while Redis has no memory for it."""
        refusals = [_refusal(connection) for _ in commands]
        until = time.monotonic() + FULL_S
        while isinstance(refusals[0], redis.exceptions.OutOfMemoryError):
            if time.monotonic() > until:
                break
            time.sleep(FULL_S / 50)
            refusals = [self._refused(command) for command in commands]
        if refusals[0] is not None:  # no memory for too long, or no gateway's address: the next batch is kept
            drop("batch", len(commands[0][-1]), refusals[0])

    def _refused(self, command: Command) -> redis.ResponseError | None:
        try:
            self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            return error
        return None

    def _wake(self, connection: Any) -> None:
        """Push a wake-up message for the batches that still wait."""
        connection.send_command("LPUSH", redis_keys.wakeups(self._pool), self._wakeup)
        connection.read_response()

    def _reply(self, batch: Batch) -> Reply:
        now = time.time()
        live = tuple(question for question in batch.questions if question.deadline > now)
        result = self._result(batch.target, live) if live else _without_model([])
        answers = _bounded(result.answers)
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


def _bounded(answers: list[Answer]) -> list[Answer]:
    """Replace answers by failures from where their outputs would have more than LARGEST_ANSWER bytes together."""
    total, bounded = 0, list[Answer]()
    for answer in answers:
        size = sum(len(tensor.data) for tensor in answer.tensors) if isinstance(answer, Outputs) else 0
        if total + size > LARGEST_ANSWER:
            message = "the outputs of the requests that shared a batch are too large together; try again"
            bounded.append(Failure(Overloaded.code, message))
        else:
            total += size
            bounded.append(answer)
    return bounded


def _refusal(connection: Any) -> redis.ResponseError | None:
    """Read the answer to a command; return the error if Redis refused it."""
    try:
        connection.read_response()
    except redis.ResponseError as error:
        return error
    return None


def _without_model(answers: list[Answer]) -> BatchAnswers:
    """Wrap answers that were made without running a model."""
    return BatchAnswers(answers, 0.0, "", 0)


def _ids(questions: tuple[Question, ...]) -> list[str]:
    return [question.request_id for question in questions]
