"""A server for TLS that bounds how many connections may be in their handshake, and for how long."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
import uvloop

log = structlog.get_logger()

HANDSHAKE_S = 10.0  # for a client to finish the TLS handshake
HANDSHAKES = 256  # at once; each holds about 50 KiB
PAUSE_S = 0.1  # after an error, such as no free files

ProtocolFactory = Callable[[], asyncio.Protocol]


class HandshakeLoop(uvloop.Loop):
    """An event loop whose TLS servers, which need a bound socket, bound handshakes.

    uvicorn has no setting for it, asyncio gives a client a minute, and connections do not count for other limits before
    their handshake is done.
    """

    async def create_server(self, factory: ProtocolFactory, *address: Any, **options: Any) -> Any:  # type: ignore[override]
        if options.get("ssl") is None:
            return await super().create_server(factory, *address, **options)
        options["sock"].listen(options.get("backlog", 100))
        return HandshakeServer(self, factory, [options["sock"]], options["ssl"])


class HandshakeServer:
    """Accepts connections; of those in their handshake, it ends the oldest when there are more than HANDSHAKES.

    A client that means well is done in milliseconds, so it is not the oldest.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: ProtocolFactory,
        sockets: Iterable[socket.socket],
        context: ssl.SSLContext,
    ) -> None:
        self.sockets = tuple(sockets)
        self._loop, self._factory, self._context = loop, factory, context
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._closed = False
        for sock in self.sockets:
            sock.setblocking(False)
        self._accepting = [loop.create_task(self._accept(sock)) for sock in self.sockets]

    @property
    def handshakes(self) -> int:
        """How many connections are in their handshake."""
        return len(self._handshakes)

    def close(self) -> None:
        """Accept no more connections; called again, end those in their handshake. Others go on."""
        ending = self._handshakes if self._closed else self._accepting
        for task in tuple(ending):
            task.cancel()
        for sock in self.sockets:
            sock.close()
        self._closed = True

    async def wait_closed(self) -> None:
        """Wait until nothing is accepted any more; does not wait for open connections."""
        await asyncio.gather(*self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self, sock: socket.socket) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(sock)
            except OSError as error:
                log.warning("connection not accepted", reason=error.strerror)
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._handshakes) >= HANDSHAKES:
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]  # now, as its callback comes later than the next connection
                oldest.cancel()
            task = self._loop.create_task(self._shake_hands(connection))
            self._handshakes[task] = None
            task.add_done_callback(self._ended)

    async def _shake_hands(self, connection: socket.socket) -> None:
        with suppress(OSError):  # ssl.SSLError is one; of clients that do not speak TLS, or leave
            await self._loop.connect_accepted_socket(
                self._factory, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("TLS handshake failed", exc_info=error)
