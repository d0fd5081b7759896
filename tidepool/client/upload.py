"""A file on its way to a server, that tells how far it is."""

import io
from collections.abc import Callable
from pathlib import Path

OnBytes = Callable[[int, int], None]  # bytes sent, of how many


class WatchedFile(io.FileIO):
    """Reads like any file; httpx takes its length from its file descriptor and reads it in pieces."""

    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        self._on_bytes(self.tell(), self._size)
        return piece
