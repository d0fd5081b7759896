"""A client of HTTP/1.1 that measures what was accepted apart from what was refused, which wrk cannot."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.inference.wrk import Measured, Request

TICK_S = 0.001
MOST_CONNECTIONS = 2048  # of an open loop
LENGTH = b"content-length:"


@dataclass
class Tally:
    """Seconds of each accepted request; the others are counted."""

    accepted: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0

    def measured(self, seconds: float) -> Measured:
        ordered = sorted(self.accepted) or [0.0]
        p50, p99 = (1000 * ordered[len(ordered) * part // 100] for part in (50, 99))
        return Measured(len(self.accepted) / seconds, p50, p99, self.failed, self.refused)


class Client(asyncio.Protocol):
    """One connection, with one request on it at a time."""

    def __init__(self, message: bytes, tally: Tally) -> None:
        self.lost = False
        self._message = message
        self._tally = tally
        self._buffer = b""
        self._began = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # which uvloop's are in all but name

    async def ask(self) -> None:
        """Return when the answer is there, or the connection has gone."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._began = time.perf_counter()
        self._transport.write(self._message)
        await self._answered

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
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._end():
            self._tally.failed += 1

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self) -> bool:
        """Whether somebody waited."""
        waited = self._answered is not None and not self._answered.done()
        if self._answered is not None and waited:
            self._answered.set_result(None)
        return waited


def closed_loop(request: Request, connections: int, seconds: float) -> Measured:
    """So many clients, each of which asks again as soon as it is answered."""

    async def run() -> Measured:
        tally = Tally()
        clients = [await _connect(request, tally) for _ in range(connections)]
        until = time.perf_counter() + seconds

        async def keep_asking(client: Client) -> None:
            while time.perf_counter() < until and not client.lost:
                await client.ask()

        await asyncio.gather(*map(keep_asking, clients))
        for client in clients:
            client.close()
        return tally.measured(seconds)

    return uvloop.run(run())


def open_loop(request: Request, per_s: float, seconds: float) -> Measured:
    """Clients that come at an even rate whether or not those before them were answered."""

    async def run() -> Measured:
        tally = Tally()
        clients: list[Client] = []
        idle: deque[Client] = deque()
        asking: set[asyncio.Task[None]] = set()

        async def ask(client: Client | None) -> None:
            if client is None:
                client = await _connect(request, tally)
                clients.append(client)
            await client.ask()
            if not client.lost:
                idle.append(client)

        began, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            for _ in range(int(elapsed * per_s) - sent):
                sent += 1
                if not idle and len(asking) >= MOST_CONNECTIONS:
                    tally.failed += 1  # nobody is left to ask
                    continue
                task = asyncio.create_task(ask(idle.popleft() if idle else None))
                asking.add(task)
                task.add_done_callback(asking.discard)
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*asking, return_exceptions=True)
        for client in clients:
            client.close()
        return tally.measured(seconds)

    return uvloop.run(run())


async def _connect(request: Request, tally: Tally) -> Client:
    url = urlsplit(request.url)
    headers = {"Host": url.netloc, "Content-Length": str(len(request.body.content)), **request.body.headers}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body.content
    loop, port = asyncio.get_running_loop(), url.port or 80
    _, client = await loop.create_connection(lambda: Client(message, tally), url.hostname or "", port)
    return client
