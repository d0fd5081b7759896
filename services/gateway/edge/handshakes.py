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
    """An event loop whose TLS servers bound handshakes.

    uvicorn has no setting for it, asyncio gives a client a minute, and connections do not count for other limits before
    their handshake is done.
    """

    async def create_server(self, factory: ProtocolFactory, *address: Any, **options: Any) -> Any:  # type: ignore[override]
        if options.get("ssl") is None:
            return await super().create_server(factory, *address, **options)
        host, port = (*address, options.get("host"), options.get("port"))[:2]
        sock, backlog = options.get("sock"), options.get("backlog", 100)
        sockets = [sock] if sock is not None else await _listening(self, host, port or 0, backlog)
        return HandshakeServer(self, factory, sockets, options["ssl"])


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
        for sock in self.sockets:
            sock.setblocking(False)
        self._accepting = [loop.create_task(self._accept(sock)) for sock in self.sockets]

    @property
    def handshakes(self) -> int:
        """How many connections are in their handshake."""
        return len(self._handshakes)

    def close(self) -> None:
        """Accept no more connections, and end those in their handshake; others go on."""
        for task in (*self._accepting, *self._handshakes):
            task.cancel()
        for sock in self.sockets:
            sock.close()

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


async def _listening(loop: asyncio.AbstractEventLoop, host: str | None, port: int, backlog: int) -> list[socket.socket]:
    """Return listening sockets for every address of a host; raises OSError."""
    flags = socket.AI_PASSIVE
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets
