"""Files to send: progress of uploads, images from paths, media types."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import to_jsonable_python

from tidepool_client.errors import InvalidInput
from tidepool_client.folder import FolderZip

CHUNK = 1 << 20
RESUMABLE = 16 << 20  # bytes; larger files are sent in parts, so that an interrupted upload goes on where it stopped
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp", b"BM": "image/bmp"}

OnBytes = Callable[[int, int], None]
"""Called with the bytes sent so far and the total."""

FilePath = str | PathLike[str]
Image = bytes | str | PathLike[str] | BinaryIO
"""The bytes of an image file, its path, or an open file."""


def silent(sent: int, size: int) -> None:
    """Ignore the progress."""


class UploadFile(io.FileIO):
    """A file that reports how much of it was read; httpx takes its length from the file descriptor."""

    def __init__(self, path: Path, on_bytes: OnBytes = silent) -> None:
        super().__init__(path)
        self.on_bytes = on_bytes
        self.size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self.on_bytes(self.tell(), self.size)
        return chunk


def opened(path: FilePath, on_bytes: OnBytes | None) -> tuple[str, AbstractContextManager[UploadFile | FolderZip]]:
    """Return a file's name and the open file; a folder is read as a zip. Raises InvalidInput."""
    source = Path(path)
    if source.is_dir():
        return f"{source.resolve().name}.zip", FolderZip(source, on_bytes or silent)
    try:
        return source.name, UploadFile(source, on_bytes or silent)
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}.") from error


def sha256_of(file: UploadFile | FolderZip) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits; reads all of it."""
    digest = hashlib.sha256()
    for chunk in chunks_of(file):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def chunks_of(file: UploadFile | FolderZip) -> Iterator[bytes]:
    """Yield all of a file from its start."""
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def part_of(file: UploadFile | FolderZip, size: int) -> bytes:
    """Return the next `size` bytes; raises InvalidInput if the file has become shorter."""
    data = bytearray()
    while len(data) < size:
        chunk = file.read(size - len(data))
        if not chunk:
            raise InvalidInput("The file changed while it was sent; try again.")
        data += chunk
    return bytes(data)


def sent_chunks(data: bytes, on_bytes: OnBytes) -> Iterator[bytes]:
    """Yield a part, and report how much of it was sent."""
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK]
        yield chunk
        on_bytes(start + len(chunk), len(data))


def json_part(part: str, value: dict[str, Any] | None) -> dict[str, Any]:
    """Return a part of a multipart form with JSON; nothing for None."""
    return {} if value is None else {part: (None, json.dumps(to_jsonable_python(value)), "application/json")}


def image_bytes(image: Image) -> bytes:
    """Return the bytes of an image; raises InvalidInput if its file cannot be read."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | PathLike):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{image} cannot be read: {error.strerror}.") from error
    return image.read()


def media_type(image: bytes) -> str:
    """Return the media type by the file's first bytes, else `application/octet-stream`; the server decides itself."""
    return next((kind for magic, kind in MAGIC.items() if image.startswith(magic)), "application/octet-stream")
