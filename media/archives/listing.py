"""Chooses the acceptable members of an archive by their names and kinds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.archives import names
from media.archives.places import Place
from media.archives.rejections import Rejections

_MOST_EXAMPLES = 10


class Entry(NamedTuple):
    """A member as its archive lists it: its name, and that before it was decoded and separators were replaced.

    `fault` is why its kind is rejected, if it is.
    """

    name: str
    stored: str
    is_folder: bool = False
    fault: str | None = None


@dataclass
class Ignored:
    """How many files of an archive are ignored, and some of them: one of each folder first."""

    count: int = 0
    by_folder: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        self._show(name)

    def merge(self, ignored: "Ignored") -> None:
        self.count += ignored.count
        for name in ignored.examples:
            self._show(name)

    def _show(self, name: str) -> None:
        folder = "/".join(name.split("/", 2)[:2])
        if folder not in self.by_folder and len(self.by_folder) < _MOST_EXAMPLES:
            self.by_folder[folder] = name
        elif len(self.others) < _MOST_EXAMPLES:
            self.others.append(name)

    @property
    def examples(self) -> list[str]:
        return [*self.by_folder.values(), *self.others][:_MOST_EXAMPLES]


class Places(Mapping[str, Place]):
    """The places of files by name; as numbers they take 48 bytes each, where objects would take 300."""

    def __init__(self, rows: dict[str, int], fields: NDArray[np.int64]) -> None:
        """`rows` has the row of each file in `fields`, (count, 6)."""
        self._rows = rows
        self._fields = fields

    def columns(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the fields of the places of files, (count, 6)."""
        return self._fields[np.fromiter(map(self._rows.__getitem__, names), np.int64, len(names))]

    def __getitem__(self, name: str) -> Place:
        return Place._make(self._fields[self._rows[name]].tolist())

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows


@dataclass(frozen=True)
class Listing:
    """The acceptable members by normalized name, what is ignored, and the encoding that was detected for names.

    `stored` has the original names of members whose normalized name differs.
    """

    places: Places
    stored: dict[str, str]
    ignored: Ignored
    encoding: str | None


def listed(
    entries: Iterable[Entry], places: NDArray[np.int64], encoding: str | None, rejections: Rejections
) -> Listing:
    """Return the acceptable entries; add others to `rejections`, except folders and what is ignored.

    `places` has the fields of the place of each entry, (count, 6).
    """
    rows: dict[str, int] = {}
    stored: dict[str, str] = {}
    ignored = Ignored()
    usual = names.UsualNames()
    for row, entry in enumerate(entries):
        name = entry.name
        if not usual.accepts(name):
            name = names.clean(name)
            if not name or entry.is_folder or entry.name.endswith("/"):
                continue
            if names.is_clutter(name):
                ignored.add(name)
                continue
            if reason := names.fault(name):
                rejections.add(name, reason)
                continue
        elif entry.is_folder:
            continue
        if entry.fault:
            rejections.add(name, entry.fault)
        elif name in rows:
            rejections.add(name, "a second file of this name")
        else:
            rows[name] = row
            if entry.stored != name:
                stored[name] = entry.stored
    return Listing(Places(rows, places), stored, ignored, encoding)
