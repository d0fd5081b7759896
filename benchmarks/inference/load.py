"""An HTTP/1.1 load generator that measures accepted requests separately from refused ones, which wrk cannot."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.inference.wrk import Measured, Request

TICK_S = 0.001
MAX_CONNECTIONS = 2048  # in an open loop
LENGTH = b"content-length:"


@dataclass
class Tally:
    """The seconds of each accepted request, and the counts of the others."""

    accepted: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0

    def measured(self, seconds: float) -> Measured:
        ordered = sorted(self.accepted) or [0.0]
        p50, p99 = (1000 * ordered[len(ordered) * part // 100] for part in (50, 99))
        return Measured(len(self.accepted) / seconds, p50, p99, self.failed, self.refused)


class Client(asyncio.Protocol):
    """One connection with one request at a time; cheaper than an asyncio task per request."""

    def __init__(self, message: bytes, tally: Tally, free: Callable[["Client"], None]) -> None:
        """`free` is called with the client when a response has arrived."""
        self._message = message
        self._tally = tally
        self._free = free
        self._buffer = b""
        self._began = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's transports do not inherit from it

    def send(self) -> None:
        assert self._transport is not None
        self._began = time.perf_counter()
        self._transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, complete, body = self._buffer.partition(b"\r\n\r\n")
        if not complete:
            return
        at = head.lower().index(LENGTH) + len(LENGTH)
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        if head.startswith(b"HTTP/1.1 200"):
            self._tally.accepted.append(time.perf_counter() - self._began)
        else:
            self._tally.refused += 1
        self._began = 0.0
        self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.failed += self._began > 0  # a request was in progress

    def close(self) -> None:
        self._began = 0.0
        if self._transport is not None:
            self._transport.close()


def closed_loop(request: Request, connections: int, seconds: float) -> Measured:
    """Run `connections` clients; each sends its next request as soon as it has a response."""

    async def run() -> Measured:
        tally, deadline = Tally(), time.perf_counter() + seconds

        def again(client: Client) -> None:
            if time.perf_counter() < deadline:
                client.send()

        clients = [await _connect(request, tally, again) for _ in range(connections)]
        for client in clients:
            client.send()
        await asyncio.sleep(seconds)
        for client in clients:
            client.close()
        return tally.measured(seconds)

    return uvloop.run(run())


def open_loop(request: Request, per_s: float, seconds: float) -> Measured:
    """Send requests at a constant rate whether or not earlier ones were answered, over MAX_CONNECTIONS at most."""

    async def run() -> Measured:
        tally = Tally()
        idle: deque[Client] = deque()
        clients = [await _connect(request, tally, idle.append) for _ in range(MAX_CONNECTIONS)]
        idle.extend(clients)
        began, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            due = int(elapsed * per_s) - sent
            sent += due
            for _ in range(min(due, len(idle))):
                idle.popleft().send()
                due -= 1
            tally.failed += due  # no connection is free
            await asyncio.sleep(TICK_S)
        for client in clients:
            client.close()
        return tally.measured(seconds)

    return uvloop.run(run())


async def _connect(request: Request, tally: Tally, free: Callable[[Client], None]) -> Client:
    url = urlsplit(request.url)
    headers = {"Host": url.netloc, "Content-Length": str(len(request.body.content)), **request.body.headers}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body.content
    loop, port = asyncio.get_running_loop(), url.port or 80
    _, client = await loop.create_connection(lambda: Client(message, tally, free), url.hostname or "", port)
    return client
