"""A pipelined connection to Redis on an event loop; a callback receives the reply to a command."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis
import redis
import structlog

from contract.errors import BrokerUnavailable
from messaging.redis_address import TLS_SCHEMES, is_demoted, locate

log = structlog.get_logger()

CONNECT_S = 3.0

Callback = Callable[[Any], None]


def _ignore(_: Any) -> None:
    return None


class CommandRefused(BrokerUnavailable):
    """Redis answered a command with an error."""


class Pipe(asyncio.Protocol):
    """Sends commands at once and receives replies in the same order; a broken pipe stays broken.

    A command takes 10 µs of the gateway's event loop, which is its bottleneck; redis-py's asyncio client takes 100 µs.
    """

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._callbacks: deque[Callback] = deque()
        self._transport: asyncio.Transport | None = None
        self.broken = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, url: str) -> "Pipe":
        """Connect and authenticate; raises BrokerUnavailable."""
        secure = True if url.startswith(TLS_SCHEMES) else None
        try:
            async with asyncio.timeout(CONNECT_S):
                options = await locate(url)
                host, port = str(options.get("host", "localhost")), int(options.get("port", 6379))
                _, pipe = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=secure)
                await pipe._authenticate(options)
        except (OSError, redis.RedisError) as error:
            raise BrokerUnavailable("the broker does not answer; try again soon") from error
        return pipe

    def send(self, *command: str | bytes | int | float, callback: Callback = _ignore) -> None:
        """Send a command. `callback` receives the reply, a hiredis.ReplyError if Redis rejects the command.

        Raises BrokerUnavailable if the pipe is broken.
        """
        if self.broken.done() or self._transport is None:
            raise BrokerUnavailable("the broker does not answer; try again soon")
        self._callbacks.append(callback)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub says tuple[X]

    async def execute(self, *command: str | bytes | int | float) -> Any:
        """Send a command and return its reply; raises BrokerUnavailable, CommandRefused if Redis rejects it."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(*command, callback=lambda value: None if reply.done() else reply.set_result(value))
        await asyncio.wait({reply, self.broken}, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            raise BrokerUnavailable("the broker does not answer; try again soon")
        if isinstance(reply.result(), hiredis.ReplyError):
            raise CommandRefused("the broker rejected a command; try again soon")
        return reply.result()

    def close(self) -> None:
        """Close the connection; outstanding callbacks are never called."""
        if self._transport is not None:
            self._transport.abort()

    async def _authenticate(self, options: dict[str, Any]) -> None:
        try:
            if options.get("password"):
                await self.execute("AUTH", *filter(None, (options.get("username"), options["password"])))
            if options.get("db"):
                await self.execute("SELECT", options["db"])
        except BaseException:
            self.close()  # or the event loop would keep the connection open
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError) and is_demoted(reply):
                log.info("the broker is no longer the master")
                self.close()  # the next connection asks for the master; replies may be lost, as in any outage
                return
            callback = self._callbacks.popleft()
            try:
                callback(reply)
            except Exception:  # an error would end the connection, which all requests share
                log.exception("a reply of the broker was not handled")

    def connection_lost(self, error: Exception | None) -> None:
        if not self.broken.done():
            self.broken.set_result(error)
