"""The replica's side of online predictions: a wake-up message starts it, and it answers batches until none waits."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import redis
import structlog

from contract.inference import Batch
from contract.tracing import span
from messaging import redis_keys
from messaging.answering import Answerer, BatchHandler, traced
from messaging.busy import Busy
from messaging.dropped import decoded, drop

log = structlog.get_logger()

LINGER_S = 0.2  # idle time before a replica sleeps again
FULL_S = 5.0  # how long a reply is tried while Redis's memory is full
AWAKE_S = 0.5  # longest run, so that Celery handles heartbeats and SIGTERM in between

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode

Command = tuple[Any, ...]


class Responder:
    """Answers the batches of a pool in the thread that Celery calls; questions past their deadline are not computed."""

    def __init__(self, pool: str, client: "redis.Redis", handler: BatchHandler, wakeup: bytes, busy: Busy) -> None:
        self._pool = pool
        self._client = client
        self._answerer = Answerer(pool, handler.respond, busy)
        self._extra_threads = handler.at_once - 1
        self._threads = ThreadPoolExecutor(max(1, self._extra_threads), thread_name_prefix="responder")
        self._wakeup = wakeup

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
                batch = decoded("batch", _decode, response[1])
                with traced(batch):
                    commands = self._answer(batch)
                    awake = time.monotonic() < deadline
                    with span("reply", {"tidepool.reply.bytes": len(commands[0][-1]) if commands else 0}):
                        # send the reply and the next BLPOP in one round trip
                        packed = connection.pack_commands([*commands, pop] if awake else commands)
                        connection.send_packed_command(packed)
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

    def _answer(self, batch: Batch | None) -> list[Command]:
        """Compute a batch; return the commands that send the reply, none for a damaged batch."""
        if batch is None:
            return []
        reply = _encode(self._answerer.reply(batch))
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


def _refusal(connection: Any) -> redis.ResponseError | None:
    """Read the answer to a command; return the error if Redis refused it."""
    try:
        connection.read_response()
    except redis.ResponseError as error:
        return error
    return None
