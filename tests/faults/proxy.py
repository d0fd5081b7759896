"""A TCP proxy that misbehaves on demand, in a process of its own; its orders come in lines on its standard input."""

import asyncio
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CHUNK = 1 << 16
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
ROOT = Path(__file__).parents[2]


class Mode(StrEnum):
    PASS = "pass"
    LATENCY = "latency"  # 0.3 s for each chunk, both ways
    BLACK_HOLE = "black-hole"  # nothing arrives, nothing is closed
    STALE = "stale"  # a black hole for the connections that there are; new ones pass
    RESET = "reset"  # every connection, also new ones
    DROP = "drop"  # the next reply is swallowed and its connection closed: done or not, the asker cannot tell
    TRUNCATE = "truncate"  # half of the next reply, then the end
    BUSY = "busy"  # every request is answered by HTTP 503


class Proxy:
    """A running proxy in front of a port."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        command = [sys.executable, "-m", "tests.faults.proxy", str(port), str(target)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
        )
        self._acknowledged()

    def set(self, mode: Mode) -> None:
        """Behave so from now on; the one-time modes go back to PASS by themselves."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode}\n")
        self._acknowledged()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _acknowledged(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ok\n"


@dataclass
class _Relay:
    """Both directions of every connection look at the same mode at every chunk."""

    target: int
    mode: Mode = Mode.PASS
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    stale: set[asyncio.StreamWriter] = field(default_factory=set)

    async def obey(self, mode: Mode) -> None:
        self.mode = mode
        if mode == Mode.RESET:
            for writer in self.writers:
                _reset(writer)
        self.stale = set(self.writers) if mode == Mode.STALE else set()
        async with self.changed:
            self.changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == Mode.RESET:
            _reset(writer)
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        both = {writer, upstream[1]}
        self.writers |= both
        requests = asyncio.ensure_future(self._requests(reader, upstream[1], writer))
        replies = asyncio.ensure_future(self._replies(upstream[0], writer))
        await asyncio.wait({requests, replies}, return_when=asyncio.FIRST_COMPLETED)
        for task in (requests, replies):
            task.cancel()
        for each in both:
            each.close()
        self.writers -= both

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._delay(writer)
                if self.mode == Mode.BUSY:
                    back.write(BUSY)
                    await back.drain()
                    return
                writer.write(chunk)
                await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._delay(writer)
                broken = self.mode in {Mode.DROP, Mode.TRUNCATE}
                if self.mode == Mode.TRUNCATE:
                    chunk = chunk[: len(chunk) // 2]
                if self.mode != Mode.DROP:
                    writer.write(chunk)
                    await writer.drain()
                if broken:
                    self.mode = Mode.PASS
                    return

    async def _delay(self, writer: asyncio.StreamWriter) -> None:
        if self.mode == Mode.LATENCY:
            await asyncio.sleep(0.3)
        async with self.changed:
            await self.changed.wait_for(lambda: self.mode != Mode.BLACK_HOLE and writer not in self.stale)


def _reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)  # for no time at all: a close is then a RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def _main(port: int, target: int) -> None:
    relay = _Relay(target)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", port):
        print("ok", flush=True)
        while order := await orders.readline():
            await relay.obey(Mode(order.decode().strip()))
            print("ok", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
