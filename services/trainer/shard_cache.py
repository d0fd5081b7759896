"""Keeps shards on disk within a budget of bytes: the least recently used go, and the next are fetched in advance."""

import errno
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.errors import JobFailed, TidepoolError
from services.trainer.data import SHRUNK_AT_ONCE, averaged
from services.trainer.file_rows import FileRows

_FETCHES = 4  # at once
_HEADER = 128  # bytes of a .npy file before its array
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

Fetch = Callable[[ObjectRef, Path], None]


@dataclass(frozen=True)
class Item:
    """The images of a shard, with squares of `factor` pixels a side averaged."""

    key: str
    factor: int
    images: ObjectRef = field(compare=False)

    @classmethod
    def of(cls, images: ObjectRef, factor: int = 1) -> Self:
        return cls(images.key, factor, images)

    @property
    def size(self) -> int:
        """The bytes of its file, at most."""
        return self.images.size if self.factor == 1 else _HEADER + self.images.size // self.factor**2


@dataclass(frozen=True)
class _Entry:
    future: Future[FileRows]
    path: Path


class ShardCache:
    """The files of some shards in `folder`, of at most `budget` bytes, which `close` deletes.

    Only one thread may call its methods; `fetch` is also called in threads of the cache.
    """

    def __init__(self, folder: Path, budget: int, fetch: Fetch) -> None:
        self.budget = budget
        self._folder = folder
        self._fetch = fetch
        self._entries: OrderedDict[Item, _Entry] = OrderedDict()
        self._made = 0
        self._pool = ThreadPoolExecutor(_FETCHES, thread_name_prefix="shards")

    def close(self) -> None:
        """End what is being fetched, and delete all files."""
        self._pool.shutdown(cancel_futures=True)
        for item in list(self._entries):
            self._evict(item)

    def get(self, item: Item, keep: Collection[Item] = ()) -> FileRows:
        """Return a shard, which is fetched now if it has to be; `keep` are evicted last.

        Raises what `fetch` raises, and JobFailed if the disk is full even without other shards.
        """
        entry = self._entries.get(item)
        if entry is not None:
            self._entries.move_to_end(item)
            try:
                return entry.future.result()
            except (TidepoolError, OSError):  # try again in this thread, which waits for a store that is away
                self._evict(item)
        self._make_room(item.images.size, keep)
        future, path = Future[FileRows](), self._new_path()
        self._entries[item] = _Entry(future, path)
        while True:
            try:
                rows = self._loaded(item, path)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    self._evict(item)
                    raise
                self._give_way(item, error)
            except BaseException:
                self._evict(item)
                raise
            else:
                future.set_result(rows)
                return rows

    def path(self, item: Item) -> Path:
        """Return the file of a shard, which stays until others are used."""
        self.get(item)
        return self._entries[item].path

    def prefetch(self, items: Iterable[Item], keep: Collection[Item]) -> None:
        """Begin to fetch shards, in this order, as far as there is room without evicting those to `keep`."""
        for item in items:
            if item in self._entries:
                continue
            if not self._has_room(item.images.size, keep):
                return
            path = self._new_path()
            self._entries[item] = _Entry(self._pool.submit(self._loaded, item, path), path)

    def _loaded(self, item: Item, path: Path) -> FileRows:
        try:
            self._fetch(item.images, path)
            if item.factor > 1:
                _shrink(path, item.factor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return FileRows.of(path)

    def _new_path(self) -> Path:
        """Return a name that is used once: what `fetch` leaves behind must not be taken for another shard."""
        self._made += 1
        return self._folder / f"shard-{self._made}.npy"

    def _evict(self, item: Item) -> None:
        entry = self._entries.pop(item)
        entry.path.unlink(missing_ok=True)

    @property
    def _used(self) -> int:
        """The bytes on disk; a shard has its full size until it is shrunk."""
        entries = self._entries.items()
        return sum(item.size if entry.future.done() else item.images.size for item, entry in entries)

    def _has_room(self, size: int, keep: Collection[Item]) -> bool:
        """Evict shards other than those to keep until there is room; return whether there is."""
        for item in list(self._entries):
            if self._used + size <= self.budget:
                break
            if item not in keep and self._entries[item].future.done():
                self._evict(item)
        return self._used + size <= self.budget

    def _make_room(self, size: int, keep: Collection[Item]) -> None:
        if not self._has_room(size, keep) and not self._has_room(size, ()):
            wait([entry.future for entry in self._entries.values()])
            self._has_room(size, ())

    def _give_way(self, item: Item, error: OSError) -> None:
        """Evict a shard because the disk is full, and use less of it from now on."""
        wait([entry.future for other, entry in self._entries.items() if other != item])
        others = [other for other in self._entries if other != item]
        if not others:
            self._evict(item)
            raise JobFailed(
                f"the disk of the worker has no room for a shard of {item.images.size >> 20} MiB; give the trainers "
                "more scratch space and submit the job again"
            ) from error
        self._evict(others[0])
        self.budget = self._used


def _shrink(path: Path, factor: int) -> None:
    """Replace the images of a file by shrunk ones."""
    images: NDArray[np.uint8] = np.load(path)
    parts = np.array_split(images, max(-(-len(images) // SHRUNK_AT_ONCE), 1))
    np.save(path, np.concatenate([averaged(torch.from_numpy(part), factor) for part in parts]))
