"""A folder of images as a zip that is sent while it is made, and never written to disk."""

import io
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from zipstream import ZipStream  # type: ignore[import-untyped]

from tidepool_client.errors import InvalidInput

OnBytes = Callable[[int, int], None]  # bytes sent, total bytes

# By-products of operating systems and tools, in lower case; the server ignores them, too.
CLUTTER = {
    *("__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "__pycache__"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
}


def dataset_name(path: str | os.PathLike[str]) -> str:
    """Return a name for the dataset of a folder or an archive, `images` if nothing of the path's name can be used."""
    stem = re.sub(r"\.(zip|tar|tgz|tar\.\w+|tbz2|txz)$", "", Path(path).resolve().name.lower())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:50].strip("-._") or "images"


class FolderZip(io.RawIOBase):
    """Reads as a zip of the folder's files, stored without compression, because images do not get smaller.

    Names are relative to the folder, in Unicode's NFC form. Hidden files and by-products of operating systems are
    left out and counted in `skipped`. Links are followed. Seeking is possible only to the start, to send it again, and
    to the end, to learn the size. Raises InvalidInput if the folder has no files, or if one changes meanwhile.
    """

    def __init__(self, folder: Path, on_bytes: OnBytes = lambda sent, size: None) -> None:
        self.skipped = 0
        self.files = sorted(self._files(folder))
        if not self.files:
            raise InvalidInput(f"{folder} has no files to upload.")
        self.on_bytes = on_bytes
        self._start()
        self.size = len(self._zip)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if (offset, whence) == (0, os.SEEK_END):
            self._position = self.size
        elif whence == os.SEEK_SET and offset in {0, self._read}:
            if offset != self._read:
                self._start()
            self._position = offset
        else:
            raise io.UnsupportedOperation("a zip of a folder can only be read from its start")
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        while (size < 0 or len(self._buffer) < size) and (chunk := self._next_chunk()):
            self._buffer += chunk
        end = len(self._buffer) if size < 0 else size
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._read += len(data)
        self._position = self._read
        self.on_bytes(self._read, self.size)
        return data

    def _next_chunk(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidInput("A file of the folder changed or cannot be read; try again.") from error

    def _start(self) -> None:
        self._zip = ZipStream(sized=True)
        try:
            for name, path in self.files:
                self._zip.add_path(path, name, recurse=False)
        except (OSError, ValueError) as error:
            raise InvalidInput("A file of the folder cannot be read; check its permissions.") from error
        self._chunks: Iterator[bytes] = iter(self._zip)
        self._buffer = bytearray()
        self._read = self._position = 0

    def _files(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Yield the name in the archive and the path of each file."""
        visited: set[str] = set()
        for parent, folders, names in os.walk(folder, followlinks=True):
            real = os.path.realpath(parent)
            if real in visited:  # a link to a folder above
                folders.clear()
                continue
            visited.add(real)
            kept = [name for name in folders if not _is_clutter(name)]
            self.skipped += len(folders) - len(kept)
            folders[:] = sorted(kept)
            for name in names:
                path = Path(parent, name)
                if _is_clutter(name) or not path.is_file():
                    self.skipped += 1
                else:
                    yield _archive_name(str(path.relative_to(folder))), str(path)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _archive_name(path: str) -> str:
    name = unicodedata.normalize("NFC", path.replace(os.sep, "/"))
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"The name of {name!r} is not valid Unicode; rename the file.") from None
    return name
