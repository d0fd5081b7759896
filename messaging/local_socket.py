"""The Unix socket of a replica, on which gateways of its machine send it batches; see docs/adr/0042.

Messages are batches towards the replica and replies towards the gateway, in msgpack, each behind its length. A replica
that is about to end sends an empty message; the gateway then ends its side of the connection, and the replica ends its
own when it has answered what had been sent before.
"""

import contextlib
import hashlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

RECEIVE = 1 << 18  # bytes received at once

_LENGTH = struct.Struct("<I")
_encode_into = msgspec.msgpack.Encoder().encode_into

LEAVING = _LENGTH.pack(0)


def framed(message: object) -> bytearray:
    """Encode a batch or a reply behind its length, in one buffer."""
    frame = bytearray(_LENGTH.size)
    _encode_into(message, frame, _LENGTH.size)
    _LENGTH.pack_into(frame, 0, len(frame) - _LENGTH.size)
    return frame


class Frames:
    """Splits received bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[memoryview]:
        """Return the messages that are complete with this data."""
        if self._rest:
            self._rest += data
        view = memoryview(self._rest or data)
        messages, start = [], 0
        while len(view) - start >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(view, start)
            end = start + _LENGTH.size + size
            if end > len(view):
                break
            messages.append(view[start + _LENGTH.size : end])
            start = end
        if start or not self._rest:
            self._rest = bytearray(view[start:])  # a new buffer, since the messages are views of the old one
        else:
            view.release()  # so that the buffer can grow
        return messages


def listen(folder: Path, name: str) -> socket.socket:
    """Return a socket for the replica of this name, which only this user can open; raises OSError.

    Sockets that replicas have left in the folder when they were killed are deleted.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _delete_unused(folder)
    server = socket.socket(socket.AF_UNIX)
    final = _file(folder, name)
    temporary = final.with_suffix(".new")
    try:
        with _short(temporary) as path:
            temporary.unlink(missing_ok=True)
            server.bind(path)
        temporary.chmod(0o600)
        server.listen(64)
        temporary.rename(final)  # gateways find it when it listens
    except BaseException:
        server.close()
        raise
    return server


def connect(folder: Path, name: str) -> socket.socket | None:
    """Return a connection to the replica of this name; None if it is not on this machine, or does not listen."""
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        with _short(_file(folder, name)) as path:
            client.connect(path)
    except OSError:
        client.close()
        return None
    return client


def remove(folder: Path, name: str) -> None:
    """Delete the socket of a replica, so that no gateway connects to it any more."""
    _file(folder, name).unlink(missing_ok=True)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{hashlib.blake2s(name.encode(), digest_size=12).hexdigest()}.sock"


def _delete_unused(folder: Path) -> None:
    for file in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError), _short(file) as path:
            client.setblocking(False)
            try:
                client.connect(path)
            except ConnectionRefusedError:
                file.unlink()


@contextlib.contextmanager
def _short(file: Path) -> Iterator[str]:
    """Return a path of the file that fits into the 108 bytes of a socket's address, however long its folder's is."""
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)
