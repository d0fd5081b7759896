"""The gateway's access to the Redis list of a pool's batches: pushes batches and withdraws them; see docs/adr/0012."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import hiredis
import msgspec
import structlog

from contract.errors import BrokerUnavailable, Overloaded, Unavailable
from contract.inference import Batch
from messaging import redis_keys
from messaging.pipe import Pipe

log = structlog.get_logger()

LARGE = 1 << 16  # bytes; Lua would keep copies of a larger batch in Redis's memory

OUT_OF_MEMORY = "OOM command not allowed"  # in older versions behind the name of the script

_encode = msgspec.msgpack.Encoder().encode

Refused = Callable[[str, Unavailable], None]
"""Gets the id of a batch that Redis has rejected, and the error."""


class BatchList:
    """Pushes batches, each with a wake-up message if one is needed. A batch that Redis rejects fails alone."""

    def __init__(self, pool: str, wakeup: bytes, refused: Refused) -> None:
        self._pool = pool
        self._key = redis_keys.batches(pool)
        self._keys = (self._key, redis_keys.wakeups(pool))
        self._wakeup = wakeup
        self._refused = refused
        self._script = b""
        self._unconfirmed: dict[str, Batch] = {}
        """Withdrawn batches, until Redis confirms it."""

    async def open(self, pipe: Pipe) -> None:
        """Prepare a new connection, and remove what an outage kept from being removed; raises BrokerUnavailable."""
        self._script = await pipe.execute("SCRIPT", "LOAD", redis_keys.PUSH)
        for batch in tuple(self._unconfirmed.values()):
            self.remove(pipe, batch)

    def push(self, pipe: Pipe, batch: Batch) -> None:
        """Append a batch; raises BrokerUnavailable. Calls `refused` later if Redis rejects it."""
        data = _encode(batch)
        if len(data) <= LARGE:
            self._run(pipe, "EVALSHA", self._script, batch, data)
        else:
            pipe.send("RPUSH", self._key, data, callback=partial(self._pushed, batch))
            self._run(pipe, "EVALSHA", self._script, batch)

    def remove(self, pipe: Pipe | None, batch: Batch) -> None:
        """Remove a batch if no replica has taken it; in an outage, when the next connection opens."""
        self._unconfirmed[batch.id] = batch
        if pipe is not None:
            with contextlib.suppress(BrokerUnavailable):
                pipe.send("LREM", self._key, 1, _encode(batch), callback=partial(self._removed, batch.id))

    def _run(self, pipe: Pipe, command: str, script: str | bytes, batch: Batch, *data: bytes) -> None:
        """Run the script that wakes a replica, and before that pushes the batch if `data` has it."""
        pipe.send(command, script, 2, *self._keys, self._wakeup, *data, callback=partial(self._ran, pipe, batch, *data))

    def _ran(self, pipe: Pipe, batch: Batch, *data_and_reply: Any) -> None:
        """Handle the reply to the script; send its text if Redis has lost it."""
        *data, reply = data_and_reply
        if not isinstance(reply, hiredis.ReplyError):
            return
        if str(reply).startswith("NOSCRIPT"):
            with contextlib.suppress(BrokerUnavailable):
                self._run(pipe, "EVAL", redis_keys.PUSH, batch, *data)
                return
        if not data:  # a large batch, which may have been pushed before
            self.remove(pipe, batch)
        self._pushed(batch, reply)

    def _pushed(self, batch: Batch, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            log.warning("the broker rejected a batch", pool=self._pool, error=str(reply))
            if OUT_OF_MEMORY in str(reply):
                self._refused(batch.id, Overloaded("the broker's memory is full; try again soon"))
            else:
                self._refused(batch.id, BrokerUnavailable("the broker rejected the request; try again soon"))

    def _removed(self, batch_id: str, _: Any) -> None:
        self._unconfirmed.pop(batch_id, None)
