"""What differs between two versions of a dataset, image by image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from contract.datasets import Split
from contract.errors import Invalid
from contract.references import Reference
from contract.revisions import ByClass, DiffCounts, DiffKind, ImageDiff, VersionDiff
from media.image_index import read_index
from media.version_diff import COLUMNS, Difference, Rows, compare
from services.gateway.images.library import Library

KINDS: tuple[DiffKind, ...] = ("added", "removed", "relabelled", "moved")

Chosen = tuple[DiffKind, int, int]  # with the rows of the old and the new index, -1 in one that lacks the image
Images = tuple[ImageDiff, ...]


@dataclass(frozen=True)
class Differences:
    """Methods raise NotFound, Conflict for a version without an index, DatabaseUnavailable, and ObjectsUnavailable."""

    library: Library

    def page(
        self, version: Reference, base: Reference, limit: int, cursor: str | None, kind: DiffKind | None
    ) -> VersionDiff:
        """Return the numbers, and a page of images, of one kind if it is given; raises Invalid for a bad cursor."""
        old, new = (self._read(reference, COLUMNS) for reference in (base, version))
        difference = compare(old, new)
        start = _position(cursor)
        chosen = list(_slice(difference, (kind,) if kind else KINDS, start, limit + 1))
        items = self._images((base, version), (old, new), chosen[:limit])
        counts = {one: _by_class(difference.pairs(one), old, new) for one in KINDS}
        return VersionDiff(
            version=str(version),
            base=str(base),
            **{one: len(difference.pairs(one)[0]) for one in KINDS},
            unchanged=difference.unchanged,
            counts=DiffCounts(**counts),
            items=items,
            next=str(start + limit) if len(chosen) > limit else None,
        )

    def examples(self, version: Reference, base: Reference, most: int) -> dict[DiffKind, tuple[int, Images]]:
        """Return the number of images of each kind, and the first of them."""
        old, new = (self._read(reference, COLUMNS) for reference in (base, version))
        difference = compare(old, new)
        chosen = {kind: list(_slice(difference, (kind,), 0, most)) for kind in KINDS}
        return {
            kind: (len(difference.pairs(kind)[0]), self._images((base, version), (old, new), rows))
            for kind, rows in chosen.items()
        }

    def _images(
        self, versions: tuple[Reference, Reference], tables: tuple[pa.Table, pa.Table], chosen: Sequence[Chosen]
    ) -> Images:
        paths = self._paths(versions, chosen)
        return tuple(_image(*row, tables, path) for row, path in zip(chosen, paths, strict=True))

    def _read(self, reference: Reference, columns: tuple[str, ...]) -> pa.Table:
        with self.library.index(reference, self.library.manifest(reference)) as file:
            return read_index(file, columns)

    def _paths(self, versions: tuple[Reference, Reference], chosen: Sequence[Chosen]) -> list[str]:
        """Return the names of images: those of the new version, if it has the image."""
        if not chosen:
            return []
        old, new = (self._read(reference, ("path",))["path"] for reference in versions)
        return [new[second].as_py() if second >= 0 else old[first].as_py() for _, first, second in chosen]


def _position(cursor: str | None) -> int:
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 12):
        raise Invalid("the cursor is not one that a page of this list gave as `next`")
    return int(cursor or 0)


def _slice(difference: Difference, kinds: tuple[DiffKind, ...], start: int, count: int) -> Iterator[Chosen]:
    """Yield the kind and the rows of images from number `start` on."""
    for kind in kinds:
        first, second = difference.pairs(kind)
        chosen = slice(start, start + count)
        for pair in zip(first[chosen].tolist(), second[chosen].tolist(), strict=True):
            yield kind, *pair
        count -= len(first[chosen])
        start = max(0, start - len(first))


def _image(kind: DiffKind, first: int, second: int, tables: tuple[pa.Table, pa.Table], path: str) -> ImageDiff:
    before, after = (
        {name: table[name][row].as_py() for name in COLUMNS} if row >= 0 else {}
        for table, row in zip(tables, (first, second), strict=True)
    )
    return ImageDiff(
        change=kind,
        sha256=(after or before)["sha256"].hex(),
        path=path,
        label=after.get("label"),
        split=after.get("split"),
        old_label=before.get("label"),
        old_split=before.get("split"),
    )


def _by_class(pairs: tuple[Rows, Rows], old: pa.Table, new: pa.Table) -> ByClass:
    """Count images by split and class, as in the new version if it has them."""
    first, second = pairs
    table, rows = (new, second) if len(second) and second[0] >= 0 else (old, first)
    counts: ByClass = {}
    if not len(rows):
        return counts
    columns = [table[name].cast(pa.string()).take(pa.array(rows)).to_numpy() for name in ("split", "label")]
    pairs_of_names, numbers = np.unique(np.stack(columns).astype(str), axis=1, return_counts=True)
    for split, label, count in zip(*pairs_of_names.tolist(), numbers.tolist(), strict=True):
        counts.setdefault(Split(split), {})[label] = count
    return counts
