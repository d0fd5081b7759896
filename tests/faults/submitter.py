"""A cheap HTTP client that can overload a gateway; a full client would be the bottleneck."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable
from urllib.parse import urlsplit

from tests.faults.clients import preprocess
from tests.faults.cluster import Cluster

TIMEOUT_S = 10.0
ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Submitter:
    """Submits the same job repeatedly, over as many connections as needed, and counts outcomes."""

    def __init__(self, cluster: Cluster) -> None:
        address = urlsplit(cluster.url)
        self._host, self._port = address.hostname, address.port
        body = json.dumps(preprocess(cluster, "quick")).encode()
        self._request = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {cluster.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._idle: list[Connection] = []

    async def closed_loop(self, clients: int, seconds: float) -> Counter[str]:
        """Run `clients` clients, each of which submits again when it has its response."""
        counts, end = Counter[str](), time.monotonic() + seconds

        async def client() -> None:
            while time.monotonic() < end:
                await self._count(counts, end)

        await self._all([client() for _ in range(clients)])
        return counts

    async def open_loop(self, per_second: float, seconds: float) -> Counter[str]:
        """Begin every submit on time, even if earlier ones still wait."""
        counts, start = Counter[str](), time.monotonic()

        async def due(number: int) -> None:
            await asyncio.sleep(start + number / per_second - time.monotonic())
            await self._count(counts, start + seconds)

        await self._all([due(number) for number in range(int(per_second * seconds))])
        return counts

    async def _all(self, work: list[Awaitable[None]]) -> None:
        await asyncio.gather(*work)
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _count(self, counts: Counter[str], end: float) -> None:
        """Submit and count the outcome; responses after `end` count only if failed."""
        try:
            outcome = await asyncio.wait_for(self._submit(), TIMEOUT_S)
        except (OSError, EOFError, TimeoutError, ValueError):
            outcome = FAILED
        if outcome == FAILED or time.monotonic() <= end:
            counts[outcome] += 1

    async def _connection(self) -> Connection:
        """Return an idle connection that the gateway has not closed, or open one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection[0].at_eof():
                return connection
            connection[1].close()
        return await asyncio.open_connection(self._host, self._port)

    async def _submit(self) -> str:
        reader, writer = connection = await self._connection()
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)
        status = int(head[9:12])
        if status == 202:
            return ACCEPTED
        return REFUSED if status in {429, 503} and b"\r\nretry-after: " in head else FAILED
