"""The sockets of a gateway, which several processes can share, and a server that leaves them without losing clients."""

import asyncio
import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn

LEAVE_S = 0.5  # for requests on their way, before connections without a request are closed
HANDSHAKE_S = 2.0  # for clients whose connections wait when the process stops


class PortInUse(Exception):
    """The address cannot be listened on; the message says what to change."""


def listeners(
    host: str, port: int, *, shared: bool, settings: str = "TIDEPOOL_HOST or TIDEPOOL_PORT"
) -> list[socket.socket]:
    """Return a socket for each address of a host, bound and not yet listening; raises PortInUse, naming `settings`.

    With `shared`, every process of this user that does the same gets a share of the connections (SO_REUSEPORT).
    """
    sockets: list[socket.socket] = []
    error: OSError | None = None
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as unknown:
        addresses, error = [], unknown
    for family, *_, address in dict.fromkeys(addresses):
        try:
            sockets.append(_bound(family, address, shared=shared))
        except OSError as failed:  # of several addresses, IPv6 may be off
            error = failed
    if error is not None and (not sockets or error.errno == errno.EADDRINUSE):
        for sock in sockets:
            sock.close()
        raise PortInUse(
            f"The gateway cannot listen on {host}, port {port}: {error.strerror}. Change "
            f"{settings}, or stop the program that uses the port."
        ) from error
    return sockets


def _bound(family: int, address: Any, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


class GatewayServer(uvicorn.Server):
    """uvicorn's server, which answers the clients that connected before it stopped.

    The kernel resets connections that wait in the queue of a socket when it is closed, and uvicorn closes connections
    that have not sent their request yet. So this server first takes all that wait, and gives their requests time.
    """

    def __init__(self, config: uvicorn.Config, sockets: Sequence[socket.socket]) -> None:
        super().__init__(config)
        self._sockets = sockets

    def listen(self) -> None:
        """Run until SIGTERM or SIGINT."""
        # uvloop closes its copy when it stops to accept; the queue is that of the original
        with suppress(KeyboardInterrupt):
            self.run(sockets=[sock.dup() for sock in self._sockets])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        waiting = [connection for sock in self._sockets for connection in _taken(sock)]
        await self._answer(waiting)
        await super().shutdown()

    async def _answer(self, connections: Iterable[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        accepted = [asyncio.ensure_future(self._accept(loop, connection)) for connection in connections]
        await asyncio.gather(asyncio.sleep(LEAVE_S), *accepted)

    async def _accept(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        timeout = HANDSHAKE_S if self.config.ssl else None
        with suppress(OSError, TimeoutError):  # the client has left
            await loop.connect_accepted_socket(protocol, connection, ssl=self.config.ssl, ssl_handshake_timeout=timeout)


def _taken(sock: socket.socket) -> list[socket.socket]:
    """Take all connections that wait, and close the socket at once, so that almost none can come in between."""
    connections = []
    sock.setblocking(False)
    with suppress(OSError), sock:  # BlockingIOError is one, when none is left
        while True:
            connections.append(sock.accept()[0])
    return connections
