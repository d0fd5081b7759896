"""Writes a zip of stored files as a stream: memory does not grow with the number of files."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

_LOCAL = struct.Struct("<4s5HLLLHH")
_CENTRAL = struct.Struct("<4s6HLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR64 = struct.Struct("<4sLQL")
_WRITTEN = (0, (1 << 5) | 1)  # 1 January 1980, so that equal files give equal zips
_UTF8 = 1 << 11
_ZIP64, _VERSION, _PLAIN = 45, 45, 20
_SEE_64, _MANY = 0xFFFFFFFF, 0xFFFF  # in place of a number that Zip64 has
_MOST, _MOST_FILES = _SEE_64, _MANY
_CHUNK = 1 << 20


class ZipStream:
    """Gives the bytes of a zip file in order; its directory waits in `directory`, a file for writing and reading.

    Files must be smaller than 4 GiB; there may be any number of them, which takes Zip64.
    """

    def __init__(self, directory: BinaryIO) -> None:
        self._directory = directory
        self._offset = 0
        self._count = 0

    def entry(self, name: str, data: bytes) -> bytes:
        """Return the bytes of a file with its header."""
        return self.header(name, len(data), zlib.crc32(data)) + data

    def stored(self, name: str, file: BinaryIO) -> Iterator[bytes]:
        """Yield the bytes of a file with its header."""
        size, crc = 0, 0
        file.seek(0)
        while chunk := file.read(_CHUNK):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        file.seek(0)
        yield self.header(name, size, crc)
        while chunk := file.read(_CHUNK):
            yield chunk

    def header(self, name: str, size: int, crc: int) -> bytes:
        """Return the header of a file, whose bytes must follow."""
        encoded = name.encode("utf-8", "replace")
        common = (_UTF8, 0, *_WRITTEN, crc, size, size, len(encoded))
        extra, offset, needed = b"", self._offset, _PLAIN
        if self._offset >= _MOST:
            extra, offset, needed = struct.pack("<HHQ", 1, 8, self._offset), _SEE_64, _ZIP64
        central = (b"PK\1\2", _VERSION, needed, *common, len(extra), 0, 0, 0, 0, offset)
        self._directory.write(_CENTRAL.pack(*central) + encoded + extra)
        header = _LOCAL.pack(b"PK\3\4", _PLAIN, *common, 0) + encoded
        self._offset += len(header) + size
        self._count += 1
        return header

    def end(self) -> Iterator[bytes]:
        """Yield the central directory and the end of the zip."""
        size = self._directory.tell()
        self._directory.seek(0)
        while chunk := self._directory.read(_CHUNK):
            yield chunk
        count, start = self._count, self._offset
        if count >= _MOST_FILES or start >= _MOST or size >= _MOST:
            end64 = (44, _VERSION, _ZIP64, 0, 0, count, count, size, start)
            yield _END64.pack(b"PK\6\6", *end64) + _LOCATOR64.pack(b"PK\6\7", 0, start + size, 1)
            count, size, start = _MANY, _SEE_64, _SEE_64
        yield _END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0)
