"""A TCP proxy with faults on demand, in a process of its own, controlled by lines on its stdin."""

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
    LATENCY = "latency"  # 0.3 s for each chunk, in both directions
    BLACK_HOLE = "black-hole"  # drops all data without closing connections
    STALE = "stale"  # a black hole for existing connections; new ones pass
    RESET = "reset"  # existing and new connections
    DROP = "drop"  # drop the next reply and close its connection: the client cannot know the outcome
    TRUNCATE = "truncate"  # half of the next reply, then close
    BUSY = "busy"  # respond with HTTP 503 to every request


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
        """Set the mode; DROP and TRUNCATE return to PASS after one reply."""
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
    """Relays connections; both directions check the current mode at every chunk."""

    target: int
    mode: Mode = Mode.PASS
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    stale: set[asyncio.StreamWriter] = field(default_factory=set)

    async def set_mode(self, mode: Mode) -> None:
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
        ends = {writer, upstream[1]}
        self.writers |= ends
        requests = asyncio.ensure_future(self._requests(reader, upstream[1], writer))
        replies = asyncio.ensure_future(self._replies(upstream[0], writer))
        await asyncio.wait({requests, replies}, return_when=asyncio.FIRST_COMPLETED)
        for task in (requests, replies):
            task.cancel()
        for end in ends:
            end.close()
        self.writers -= ends

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
    linger = struct.pack("ii", 1, 0)  # zero linger time turns close into RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def _main(port: int, target: int) -> None:
    relay = _Relay(target)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", port):
        print("ok", flush=True)
        while line := await commands.readline():
            await relay.set_mode(Mode(line.decode().strip()))
            print("ok", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
