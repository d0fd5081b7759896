"""The objects below a prefix of an object store, as if they were the files of an archive."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.errors import BadImage
from media.archives.limits import Limits
from media.archives.listing import Entry, listed
from media.archives.places import PLAIN, Place, check_total
from media.archives.rejections import Rejections
from services.storage.sources import SourceObject, SourcePrefix
from worker.read_ahead import ReadAhead


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


def object_members(rows: pa.Table, prefix: SourcePrefix, limits: Limits) -> ReadAhead:
    """Return rows of a plan, whose objects are read in order."""
    columns = (rows[name].to_pylist() for name in ("member", "size", "etag"))
    objects = [SourceObject(*values) for values in zip(*columns, strict=True)]
    return ReadAhead(rows, lambda number: _read(prefix, objects[number], limits, None), limits)


def _read(prefix: SourcePrefix, item: SourceObject, limits: Limits, most: int | None) -> bytes:
    if item.size > limits.member_bytes:
        raise BadImage(f"has over {limits.member_bytes} bytes")
    return prefix.read(item, most)
