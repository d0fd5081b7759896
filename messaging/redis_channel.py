"""The gateway's connection to a pool through Redis, and past it to replicas of the same machine."""

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import Any

import hiredis
import msgspec
import structlog

from contract.errors import BrokerUnavailable, Unavailable
from contract.inference import Batch, Reply
from messaging import redis_keys
from messaging.batch_list import BatchList
from messaging.broker import Broker
from messaging.channel import Listener
from messaging.dropped import decoded, text
from messaging.local_replicas import LocalReplicas
from messaging.pipe import CommandRefused, Pipe
from messaging.settings import BrokerSettings
from messaging.spin import Spin

log = structlog.get_logger()

WATCH_S = 1.0
SILENCE_S = 4.0  # a connection is lost after this time; BLPOP replies every second
RECONNECT_S = 0.3
OUTAGE_S = 2.0  # between two checks of the replicas; heartbeats may have been missed meanwhile
RETURN_S = redis_keys.PRESENCE_TTL_S + 2.0  # for replicas to be present again after an outage of Redis

_decode = msgspec.msgpack.Decoder(Reply).decode


class RedisChannel:
    """Pushes batches to a Redis list; a Celery message wakes a replica that takes them. See docs/adr/0012.

    Replicas of this machine that are idle get theirs over a Unix socket (docs/adr/0042).
    """

    listener: Listener

    def __init__(
        self,
        pool: str,
        settings: BrokerSettings,
        broker: Broker,
        sockets: Path | None = None,
        spin: Spin | None = None,
    ) -> None:
        """`sockets` is the folder of the sockets of replicas on this machine; without, all batches go through Redis."""
        self.address = redis_keys.replies(uuid.uuid4().hex)
        self.replicas: frozenset[str] = frozenset()
        self._pool = pool
        self._url = settings.url.get_secret_value()
        self._batches = BatchList(pool, broker.wakeup_message(redis_keys.wakeups(pool)), self._refused)
        self._local = None if sockets is None else LocalReplicas(sockets, self._replied, self._local_lost, spin)
        self._lost_at: dict[str, float] = {}
        """When the connections of replicas of this machine ended."""
        self._checked_at = 0.0
        self._returning: frozenset[str] = frozenset()
        """Replicas whose heartbeats an outage may have kept from Redis; they may be well."""
        self._return_until = 0.0
        self._out: Pipe | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_reply_at = 0.0

    async def open(self) -> None:
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            await self._connect()
        self._task = asyncio.create_task(self._stay_connected())

    def send(self, batch: Batch) -> None:
        if self._local is None or not self._local.send(batch):
            self._batches.push(self._pipe(), batch)

    def withdraw(self, batch: Batch) -> None:
        if self._may_be_lost(batch.id):  # not at a replica of this machine, which drops it after its deadline
            self._batches.remove(self._out, batch)

    def announce(self) -> None:
        presence, report = redis_keys.gateways(self._pool), msgspec.json.encode(self.listener.report())
        with contextlib.suppress(BrokerUnavailable):
            self._pipe().send("EVAL", redis_keys.BEAT, 2, presence, redis_keys.reports(presence), self.address, report)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(3):
                await self._pipe().execute("PING")
        except TimeoutError as error:
            raise BrokerUnavailable("the broker does not answer; try again soon") from error

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._local is not None:
            self._local.close()

    def _replied(self, reply: Reply) -> None:
        self.listener.replied(reply)

    def _may_be_lost(self, batch_id: str) -> bool:
        return self._local is None or not self._local.has(batch_id)

    def _local_lost(self, name: str) -> None:
        """Handle a replica of this machine that has ended; it may have taken batches from Redis as well."""
        log.warning("replicas lost", pool=self._pool, replicas=[name])
        self._lost_at[name] = asyncio.get_running_loop().time()
        self.listener.lost(self._may_be_lost)

    def _refused(self, batch_id: str, error: Unavailable) -> None:
        self.listener.refused(batch_id, error)

    def _pipe(self) -> Pipe:
        if self._out is None:
            raise BrokerUnavailable("the broker does not answer; try again soon")
        return self._out

    async def _stay_connected(self) -> None:
        while True:
            try:
                if self._out is None:
                    await self._connect()
                    self.listener.lost(self._may_be_lost)
                await self._watch()
            except (BrokerUnavailable, TimeoutError):
                log.warning("no connection to the broker", pool=self._pool)
            except Exception:  # the next connection may work, and without one there are no predictions
                log.exception("connection to the broker failed", pool=self._pool)
            finally:
                if self._out is not None:
                    self._out.close()
                    self._in.close()
                    self._out = None
            await asyncio.sleep(RECONNECT_S)

    async def _connect(self) -> None:
        with contextlib.ExitStack() as unless_done:
            out = await Pipe.open(self._url)
            unless_done.callback(out.close)
            into = await Pipe.open(self._url)
            unless_done.callback(into.close)
            async with asyncio.timeout(SILENCE_S):
                await self._batches.open(out)
                self._checked_at = 0.0
                self.replicas = await self._check(out)
            unless_done.pop_all()
        self._out, self._in = out, into
        self._last_reply_at = asyncio.get_running_loop().time()
        self._listen(into)

    def _listen(self, pipe: Pipe) -> None:
        def pop() -> None:
            with contextlib.suppress(BrokerUnavailable):
                pipe.send("BLPOP", self.address, 1, callback=receive)

        def receive(response: Any) -> None:
            self._last_reply_at = loop.time()
            if isinstance(response, hiredis.ReplyError):
                log.warning("the broker sends no replies", pool=self._pool, error=str(response))
                loop.call_later(WATCH_S, pop)
                return
            pop()
            if isinstance(response, list) and (reply := decoded("reply", _decode, response[1])) is not None:
                self.listener.replied(reply)

        loop = asyncio.get_running_loop()
        pop()

    async def _watch(self) -> None:
        """Report and look for lost replicas every second; return when the connection is lost."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._last_reply_at < SILENCE_S:
            self.announce()
            async with asyncio.timeout(SILENCE_S):
                present = await self._check(self._pipe())
                gone, self.replicas = self.replicas - present, present
                lost = gone and gone - await self._departed(self._pipe())
            if self._local is not None:
                await self._local.update(present | self._returning)
            if lost := lost - self._known_lost():
                log.warning("replicas lost", pool=self._pool, replicas=sorted(lost))
                self.listener.lost(self._may_be_lost)
            broken, _ = await asyncio.wait({self._pipe().broken, self._in.broken}, timeout=WATCH_S)
            if broken:
                return

    def _known_lost(self) -> set[str]:
        """Return the replicas whose connections have ended lately, so that their loss was handled."""
        since = asyncio.get_running_loop().time() - 2 * SILENCE_S
        self._lost_at = {name: at for name, at in self._lost_at.items() if at > since}
        return set(self._lost_at)

    async def _check(self, pipe: Pipe) -> frozenset[str]:
        """Return the replicas present; after an outage, also note those that are to return within RETURN_S."""
        present, now = await self._present(pipe), asyncio.get_running_loop().time()
        if now - self._checked_at > OUTAGE_S:
            self._returning, self._return_until = self._returning | self.replicas, now + RETURN_S
        elif now > self._return_until:
            self._returning = frozenset()
        self._returning -= present
        self._checked_at = now
        return present

    async def _present(self, pipe: Pipe) -> frozenset[str]:
        presence = redis_keys.replicas(self._pool)
        try:
            names = await pipe.execute("EVAL", redis_keys.BEAT, 2, presence, redis_keys.reports(presence))
        except CommandRefused:
            log.warning("the broker does not tell which replicas are present", pool=self._pool)
            return self.replicas
        return frozenset(map(text, names))

    async def _departed(self, pipe: Pipe) -> frozenset[str]:
        """Return the replicas that left in order and lost no batch."""
        try:
            return frozenset(map(text, await pipe.execute("SMEMBERS", redis_keys.departed(self._pool))))
        except CommandRefused:
            return frozenset()
