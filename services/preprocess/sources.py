"""The objects below a prefix of an object store, as if they were the files of an archive."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.errors import BadImage
from media.archives.limits import Limits
from media.archives.listing import Entry, listed
from media.archives.places import PLAIN, Place, check_total
from media.archives.rejections import Rejections
from services.storage.sources import SourceObject, SourcePrefix

_AHEAD = 16  # objects that are read at once, since each takes some milliseconds


class ObjectFiles:
    """The acceptable objects by their names below the prefix; `listed` checks them like the members of an archive."""

    def __init__(self, prefix: SourcePrefix, limits: Limits, rejections: Rejections) -> None:
        self.limits = limits
        self.inflated = 0
        self.detected_encoding: str | None = None
        self._prefix = prefix
        self._objects = prefix.list(limits.members)
        places = [(number, number, PLAIN, item.size, item.size, 0) for number, item in enumerate(self._objects)]
        fields = np.array(places, np.int64).reshape(-1, len(Place._fields))
        listing = listed(map(self._entry, self._objects), fields, None, rejections)
        self.ignored = listing.ignored
        self._places = listing.places

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._places)

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return places of no bytes, in the order of the keys; they have the sizes of the objects."""
        return self._places.columns(names)

    def member(self, name: str) -> str:
        """Return the key."""
        return self._object(name).key

    def etag(self, name: str) -> str:
        return self._object(name).etag

    def head(self, name: str, most: int | None) -> bytes:
        return _read(self._prefix, self._object(name), self.limits, most)

    def read(self, name: str) -> bytes:
        data = self.head(name, None)
        self.inflated += len(data)
        check_total(self.inflated, self.limits)
        return data

    def _object(self, name: str) -> SourceObject:
        return self._objects[self._places[name].start]

    def _entry(self, item: SourceObject) -> Entry:
        return Entry(item.key.removeprefix(self._prefix.prefix), item.key, item.key.endswith("/"))


class ObjectMembers:
    """Rows of a plan, whose objects are read in order, some ahead."""

    def __init__(self, rows: pa.Table, prefix: SourcePrefix, limits: Limits) -> None:
        self.rows = rows
        self.limits = limits
        self._prefix = prefix
        columns = (rows[name].to_pylist() for name in ("member", "size", "etag"))
        self._objects = [SourceObject(*values) for values in zip(*columns, strict=True)]
        self._pool = ThreadPoolExecutor(_AHEAD)
        self._reading: deque[Future[bytes]] = deque()
        self._next = 0

    def __len__(self) -> int:
        return len(self._objects)

    def read(self, _number: int) -> bytes:
        """Return the contents of the next object; raises BadImage if it is rejected."""
        while self._next < len(self._objects) and len(self._reading) < _AHEAD:
            self._reading.append(self._pool.submit(_read, self._prefix, self._objects[self._next], self.limits, None))
            self._next += 1
        return self._reading.popleft().result()


def _read(prefix: SourcePrefix, item: SourceObject, limits: Limits, most: int | None) -> bytes:
    if item.size > limits.member_bytes:
        raise BadImage(f"has over {limits.member_bytes} bytes")
    return prefix.read(item, most)
