"""The gateway's connections to the replicas of its machine, which take batches past Redis; see docs/adr/0042."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

import msgspec
import structlog

from contract.inference import Batch, Reply, Target
from messaging.dropped import decoded
from messaging.local_socket import Frames, connect, framed
from messaging.spin import Spin

log = structlog.get_logger()

_decode = msgspec.msgpack.Decoder(Reply).decode


class _Connection(asyncio.Protocol):
    """The connection to one replica; `pending` are the targets of its unanswered batches, by the batches' ids."""

    def __init__(self, name: str, owner: "LocalReplicas") -> None:
        self.name = name
        self.pending: dict[str, Target] = {}
        self.leaving = False
        self.closed = False
        self._owner = owner
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    def send(self, batch: Batch) -> None:
        assert self._transport is not None  # noqa: S101  set before the connection is used
        self.pending[batch.id] = batch.target
        self._transport.write(framed(batch))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            if not message:
                self._leave()
            elif (reply := decoded("reply", _decode, message)) is not None:
                self.pending.pop(reply.id, None)
                self._owner.received(self, reply)
            else:
                self.close()

    def _leave(self) -> None:
        """Send no more; the replica ends the connection when it has answered everything."""
        self.leaving = True
        self._owner.leaves(self)
        if self._transport is not None:
            self._transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._owner.ended(self)


class LocalReplicas:
    """Sends batches to replicas of this machine that are idle, or that compute a batch of the same version.

    A replica gets its second batch while it computes the first, so that it need not wait for it. Batches of other
    versions wait in Redis, where the replica that is free first takes them.
    """

    def __init__(
        self, folder: Path, replied: Callable[[Reply], None], lost: Callable[[str], None], spin: Spin | None = None
    ) -> None:
        """`lost` gets the name of a replica whose connection has ended before all of its batches were answered."""
        self._folder = folder
        self._replied = replied
        self._lost = lost
        self._connections: dict[str, _Connection] = {}
        self._order: list[_Connection] = []
        """The replica that replied last comes first: its caches are warm."""
        self._spin = spin or Spin()
        self._waiting = self._looking = False

    def send(self, batch: Batch) -> bool:
        """Send a batch to a replica; return False if none has room for it."""
        self._end_wait()
        return self._send(batch)

    def _send(self, batch: Batch) -> bool:
        second: _Connection | None = None
        for connection in self._order:
            if not connection.pending:
                connection.send(batch)
                return True
            if second is None and len(connection.pending) == 1 and batch.target in connection.pending.values():
                second = connection
        if second is None:
            return False
        second.send(batch)
        return True

    def has(self, batch_id: str) -> bool:
        """Return whether a replica has the batch and will answer it."""
        return any(batch_id in connection.pending for connection in self._connections.values())

    async def update(self, present: Collection[str]) -> None:
        """Connect to the replicas of this machine among those that are present; close connections to others."""
        for name in self._connections.keys() - set(present):
            connection = self._connections[name]
            connection.close()
            self.ended(connection)
        for name in present:
            if name not in self._connections and (client := connect(self._folder, name)) is not None:
                connection = _Connection(name, self)
                loop = asyncio.get_running_loop()
                await loop.create_unix_connection(lambda made=connection: made, sock=client)  # type: ignore[misc]
                if not (connection.closed or connection.leaving):
                    self._connections[name] = connection
                    self._order.append(connection)

    def received(self, connection: _Connection, reply: Reply) -> None:
        """Pass a reply on."""
        self._end_wait()
        order = self._order
        if not connection.pending and order and order[0] is not connection and connection in order:
            order.remove(connection)
            order.insert(0, connection)
        self._replied(reply)

    def leaves(self, connection: _Connection) -> None:
        """Send no more batches to a replica that is about to end."""
        if connection in self._order:
            self._order.remove(connection)

    def ended(self, connection: _Connection) -> None:
        """Forget a connection; called again when it is closed."""
        if self._connections.get(connection.name) is not connection:
            return
        del self._connections[connection.name]
        self.leaves(connection)
        if connection.pending or not connection.leaving:
            self._lost(connection.name)

    def _end_wait(self) -> None:
        """A batch or a reply has come; wait for the next one when the event loop has called everything that is due."""
        if self._waiting:
            self._waiting = False
            self._spin.end()
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Keep the event loop from sleeping while the wait may spin: it polls its sockets between two calls."""
        if not self._waiting:
            self._waiting = True
            self._spin.begin()
        self._looking = self._spin.again(busy=sum([bool(connection.pending) for connection in self._order]))
        if self._looking:
            asyncio.get_running_loop().call_soon(self._look)

    def close(self) -> None:
        """Close all connections; their batches are lost."""
        connections, self._connections, self._order = self._connections, {}, []
        for connection in connections.values():
            connection.close()
