"""The replica's side of its Unix socket: answers the batches that gateways of its machine send it directly."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog
from celery import signals

from contract.inference import Batch
from contract.tracing import span
from messaging.answering import Answerer, BatchHandler, traced
from messaging.busy import Busy
from messaging.dropped import decoded
from messaging.local_connection import LocalConnection
from messaging.local_socket import framed, listen, remove
from messaging.settings import LocalSettings
from messaging.spin import Spin

log = structlog.get_logger()

LEAVE_S = 20.0  # to answer what gateways had sent before they knew that the replica leaves
ACCEPT_RETRY_S = 1.0  # after an error such as no free file descriptors

_decode = msgspec.msgpack.Decoder(Batch).decode


class LocalServer:
    """Answers batches in `at_once` threads; one of them waits for messages at a time, the others compute."""

    def __init__(
        self, pool: str, folder: Path, name: str, handler: BatchHandler, busy: Busy, spin: Spin | None = None
    ) -> None:
        """Listen for gateways; raises OSError."""
        self._answerer = Answerer(pool, handler.respond, busy)
        self._busy = busy
        self._spin = spin or Spin()
        self._place = (folder, name)
        self._listener = listen(folder, name)
        self._wake = os.eventfd(0)
        self._leaving = False
        self._left_at = 0.0
        self._poll = select.epoll()
        for source in (self._listener, self._wake):
            self._poll.register(source, select.EPOLLIN)
        self._accept_at: float | None = None
        """When to accept gateways again, after an error."""
        self._connections: dict[int, LocalConnection] = {}
        self._messages: deque[tuple[LocalConnection, memoryview]] = deque()
        self._turn = threading.Lock()
        names = (f"local-{number}" for number in range(handler.at_once))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Let gateways send no more batches, and answer those that they have sent. May be called by a signal."""
        if self._leaving:
            return
        self._leaving, self._left_at = True, time.monotonic()
        remove(*self._place)
        for connection in list(self._connections.values()):
            connection.leave()
        os.eventfd_write(self._wake, 1)

    def join(self) -> None:
        """Wait until all batches are answered, for at most LEAVE_S since `leave`, which is called before."""
        for thread in self._threads:
            thread.join(max(0.0, self._left_at + LEAVE_S - time.monotonic()))
        self._close_all()
        self._listener.close()  # still open if the last thread ended before it noticed `leave`

    def _run(self) -> None:
        try:
            self._answer_all()
        except Exception:
            log.exception("batches of gateways on this machine cannot be answered; they come by the broker")
            remove(*self._place)
            self._close_all()

    def _close_all(self) -> None:
        for connection in list(self._connections.values()):
            connection.close()  # the gateway sends what is unanswered to another replica

    def _answer_all(self) -> None:
        while (received := self._next()) is not None:
            connection, message = received
            batch = decoded("batch", _decode, message)
            if batch is None:
                connection.drop()
                continue
            with traced(batch):
                frame = framed(self._answerer.reply(batch))
                with span("reply", {"tidepool.reply.bytes": len(frame)}):
                    connection.reply(frame)

    def _next(self) -> tuple[LocalConnection, memoryview] | None:
        """Return the next message with its connection; None if the replica leaves and there are no more."""
        with self._turn:
            while not self._messages:
                if self._leaving and not self._connections:
                    return None
                for descriptor, _ in self._wait():
                    self._handle(descriptor)
            return self._messages.popleft()

    def _wait(self) -> list[tuple[int, int]]:
        """Return what has happened; the caller has the turn. It does not spin while another thread computes."""
        until_accept = self._until_accept()
        self._spin.begin()
        while not (events := self._poll.poll(0)):
            if self._busy.working or not self._spin.again(busy=1):  # the gateway
                events = self._poll.poll(until_accept)
                break
        self._spin.end()
        return events

    def _until_accept(self) -> float | None:
        """Return the seconds until gateways are accepted again; None if they are."""
        if self._accept_at is None:
            return None
        seconds = self._accept_at - time.monotonic()
        if seconds > 0:
            return seconds
        self._accept_at = None
        self._poll.register(self._listener, select.EPOLLIN)
        return None

    def _handle(self, descriptor: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is not None:
            try:
                self._messages.extend((connection, message) for message in connection.receive())
            except (OSError, EOFError):
                self._poll.unregister(descriptor)
                del self._connections[descriptor]
                connection.end()
        elif descriptor == self._wake:
            os.eventfd_read(self._wake)
            self._accept_at = None
            with suppress(OSError):  # not registered after an error
                self._poll.unregister(self._listener)
            self._listener.close()
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if self._listener.fileno() != -1:  # it stays readable, and polling would not wait
                log.warning("a gateway on this machine cannot be accepted; trying again", error=str(error))
                self._poll.unregister(self._listener)
                self._accept_at = time.monotonic() + ACCEPT_RETRY_S
            return
        connection = self._connections[client.fileno()] = LocalConnection(client)
        self._poll.register(client, select.EPOLLIN)
        if self._leaving:
            connection.leave()


@contextmanager
def answering_locally(pool: str, name: str, handler: BatchHandler, busy: Busy) -> Iterator[None]:
    """Answer gateways of this machine while the Celery worker of this process runs.

    Begin when it is ready, and thus handles SIGTERM; at the end, wait until every batch that was sent is answered. Do
    nothing without TIDEPOOL_LOCAL_SOCKETS.
    """
    settings, servers = LocalSettings(), list[LocalServer]()

    def start(**_: object) -> None:  # called again after an outage of the broker
        if settings.local_sockets is None or servers:
            return
        try:
            servers.append(LocalServer(pool, settings.local_sockets, name, handler, busy, Spin(settings.spin_ms / 1e3)))
        except OSError:
            log.warning("no socket in TIDEPOOL_LOCAL_SOCKETS; all batches come by the broker", exc_info=True)
        else:
            servers[0].start()

    def leave(**_: object) -> None:
        for server in servers:
            server.leave()

    signals.worker_ready.connect(start, weak=False)
    signals.worker_shutting_down.connect(leave, weak=False)
    try:
        yield
    finally:
        leave()
        for server in servers:
            server.join()
