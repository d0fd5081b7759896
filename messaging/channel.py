"""The gateway's way to a pool and back: batches out, replies in, and word of the replicas that live."""

import asyncio
import contextlib
import uuid
from typing import Any, Protocol

import hiredis
import msgspec
import structlog

from contract.errors import BrokerUnavailable
from contract.inference import Batch, Reply
from contract.reports import GatewayReport
from messaging import redis_keys
from messaging.broker import Broker
from messaging.pipe import Pipe
from messaging.settings import BrokerSettings

log = structlog.get_logger()

WATCH_S = 1.0
SILENCE_S = 4.0  # of a connection on which an answer is due every second
RECONNECT_S = 0.3

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reply).decode


class Listener(Protocol):
    """Who sends batches over a channel."""

    def replied(self, reply: Reply) -> None:
        """A reply has come; the same one may come twice."""

    def lost(self) -> None:
        """A replica or the connection is gone, and with it perhaps batches and replies."""

    def report(self) -> GatewayReport:
        """What the channel says every second of this gateway, to whoever measures the pool."""


class Channel(Protocol):
    """`RedisChannel` is the real one, `MemoryChannel` its twin."""

    address: str
    """Where replies must go: `reply_to` of every batch."""
    replicas: frozenset[str]
    """The replicas of the pool that live, as far as is known."""

    listener: Listener
    """Who hears of replies and losses; to be set before `open`."""

    async def open(self) -> None:
        """Begin to listen; an outage is no reason to fail."""

    def send(self, batch: Batch) -> None:
        """Send a batch to whichever replica takes it; raises BrokerUnavailable."""

    def withdraw(self, batch: Batch) -> None:
        """Take a batch back that no replica has taken yet."""

    def announce(self) -> None:
        """Say what the listener reports now, not only at the next second."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the way is open."""

    async def close(self) -> None:
        """Let go of the connections."""


class RedisChannel:
    """Batches on a list that an awake replica drains, woken by a Celery message; see docs/adr/0012."""

    listener: Listener

    def __init__(self, pool: str, settings: BrokerSettings, broker: Broker) -> None:
        self.address = redis_keys.replies(uuid.uuid4().hex)
        self.replicas: frozenset[str] = frozenset()
        self._pool = pool
        self._url = settings.url.get_secret_value()
        self._wakeup = broker.wakeup(redis_keys.wakeups(pool))
        self._out: Pipe | None = None
        self._push = b""
        self._task: asyncio.Task[None] | None = None
        self._heard = 0.0

    async def open(self) -> None:
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            await self._connect()
        self._task = asyncio.create_task(self._stay_connected())

    def send(self, batch: Batch) -> None:
        keys = (redis_keys.batches(self._pool), redis_keys.wakeups(self._pool))
        self._pipe().send("EVALSHA", self._push, 2, *keys, _encode(batch), self._wakeup, then=self._sent)

    def withdraw(self, batch: Batch) -> None:
        with contextlib.suppress(BrokerUnavailable):
            self._pipe().send("LREM", redis_keys.batches(self._pool), 1, _encode(batch))

    def announce(self) -> None:
        presence, report = redis_keys.gateways(self._pool), msgspec.json.encode(self.listener.report())
        with contextlib.suppress(BrokerUnavailable):
            self._pipe().send("EVAL", redis_keys.BEAT, 2, presence, redis_keys.reports(presence), self.address, report)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(3):
                await self._pipe().ask("PING")
        except TimeoutError as error:
            raise BrokerUnavailable("the broker does not answer; try again soon") from error

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _sent(self, reply: Any) -> None:
        """Connect anew after a refusal: Redis may have forgotten the script."""
        if isinstance(reply, hiredis.ReplyError) and self._out is not None:
            log.warning("the broker refused a batch", pool=self._pool, error=str(reply))
            self._out.close()

    def _pipe(self) -> Pipe:
        if self._out is None:
            raise BrokerUnavailable("the broker does not answer; try again soon")
        return self._out

    async def _stay_connected(self) -> None:
        while True:
            try:
                if self._out is None:
                    await self._connect()
                    self.listener.lost()
                await self._watch()
            except (BrokerUnavailable, TimeoutError):
                log.warning("no connection to the broker", pool=self._pool)
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
                self._push = await out.ask("SCRIPT", "LOAD", redis_keys.PUSH)
                self.replicas = await self._present(out)
            unless_done.pop_all()
        self._out, self._in = out, into
        self._heard = asyncio.get_running_loop().time()
        self._listen(into)

    def _listen(self, pipe: Pipe) -> None:
        def take(found: Any) -> None:
            with contextlib.suppress(BrokerUnavailable):
                pipe.send("BLPOP", self.address, 1, then=take)
            self._heard = loop.time()
            if isinstance(found, list):
                self.listener.replied(_decode(found[1]))

        loop = asyncio.get_running_loop()
        pipe.send("BLPOP", self.address, 1, then=take)

    async def _watch(self) -> None:
        """Until the connection is lost, and whoever listens is told of each replica that is gone."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard < SILENCE_S:
            self.announce()
            async with asyncio.timeout(SILENCE_S):
                present = await self._present(self._pipe())
                gone, self.replicas = self.replicas - present, present
                lost = gone and gone - await self._left(self._pipe())
            if lost:
                log.warning("replicas are gone", pool=self._pool, replicas=sorted(lost))
                self.listener.lost()
            broken, _ = await asyncio.wait({self._pipe().broken, self._in.broken}, timeout=WATCH_S)
            if broken:
                return

    async def _present(self, pipe: Pipe) -> frozenset[str]:
        presence = redis_keys.replicas(self._pool)
        found = await pipe.ask("EVAL", redis_keys.BEAT, 2, presence, redis_keys.reports(presence))
        return frozenset(name.decode() for name in found)

    async def _left(self, pipe: Pipe) -> frozenset[str]:
        """Those that took leave, so that nothing is lost with them."""
        return frozenset(name.decode() for name in await pipe.ask("SMEMBERS", redis_keys.left(self._pool)))
