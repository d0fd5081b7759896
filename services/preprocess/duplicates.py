"""Warns of images that are in a dataset more than once, found by the SHA-256 of their bytes."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.datasets import DatasetWarning, Split
from media.archives.rejections import shown
from services.preprocess.warnings import Warnings, plural

CODES = frozenset({"duplicate_images", "images_in_several_splits", "images_with_several_labels"})

_DIGEST_BYTES = 16  # half of a SHA-256 tells images apart
_SHOWN_COPIES = 3
_SPLITS = tuple(Split)


def duplicate_warnings(rows: Iterable[tuple[str, str, Split, str]]) -> tuple[DatasetWarning, ...]:
    """Return warnings of equal images, from (sha256, path, split, label) of each image.

    `duplicate_images` counts the copies beyond the first. `images_in_several_splits` counts images of validation and
    test that are in training, too, or images of test that are in validation. `images_with_several_labels` counts
    images, not their copies. Takes about 60 bytes an image beside the paths, which are kept as UTF-8.
    """
    table = _Table()
    for sha256, path, split, label in rows:
        table.add(sha256, path, split, label)
    copies: _Examples = _Examples()
    leaked: _Examples = _Examples()
    contradicted: _Examples = _Examples()
    for group in table.groups():
        copies.add(table, group, len(group) - 1)
        splits = [table.splits[row] for row in group]
        leaked.add(table, group, len(splits) - splits.count(min(splits)))
        contradicted.add(table, group, int(len({table.labels[row] for row in group}) > 1))
    warnings = Warnings()
    warnings.add(
        "duplicate_images",
        f"{plural(copies.count, 'image')} {'is a copy' if copies.count == 1 else 'are copies'} of another one",
        copies.shown,
        "Remove the copies, or keep them if they should weigh more.",
        copies.count,
    )
    warnings.add(
        "images_in_several_splits",
        f"{plural(leaked.count, 'image')} of validation or test {'is' if leaked.count == 1 else 'are'} also in a split "
        "that training or selection uses, so the measured accuracy is too high",
        leaked.shown,
        "Remove them from one of the splits, or send the images without splits and set split.group_by to what belongs "
        "together.",
        leaked.count,
    )
    warnings.add(
        "images_with_several_labels",
        f"{plural(contradicted.count, 'image')} {'has' if contradicted.count == 1 else 'have'} more than one label",
        contradicted.shown,
        "Keep each image in the class that it belongs to.",
        contradicted.count,
    )
    return warnings.all


class _Table:
    """The rows as columns: a million take about 100 MB, and Python objects would take three times as much."""

    def __init__(self) -> None:
        self.splits = array("b")
        self.labels = array("l")
        self._digests = bytearray()
        self._paths = bytearray()
        self._ends = array("q", [0])
        self._label_numbers: dict[str, int] = {}

    def add(self, sha256: str, path: str, split: Split, label: str) -> None:
        self._digests += bytes.fromhex(sha256)[:_DIGEST_BYTES]
        self._paths += path.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._paths))
        self.splits.append(_SPLITS.index(split))
        self.labels.append(self._label_numbers.setdefault(label, len(self._label_numbers)))

    def path(self, row: int) -> str:
        return self._paths[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogatepass")

    def groups(self) -> Iterator[list[int]]:
        """Yield the rows of each image that occurs more than once, by the first of its rows."""
        digests: NDArray[np.uint64] = np.frombuffer(self._digests, np.uint64).reshape(-1, 2)
        order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable, so rows stay in order within a group
        ordered = digests[order]
        starts = np.flatnonzero(np.r_[True, np.any(ordered[1:] != ordered[:-1], axis=1), True])
        several = np.flatnonzero(np.diff(starts) > 1)
        bounds = [(int(starts[at]), int(starts[at + 1])) for at in several]
        for first, last in sorted(bounds, key=lambda bound: int(order[bound[0]])):
            yield order[first:last].tolist()


class _Examples:
    """A count, and the paths of the first groups."""

    def __init__(self) -> None:
        self.count = 0
        self.shown: list[str] = []

    def add(self, table: _Table, group: Sequence[int], count: int) -> None:
        self.count += count
        if count and len(self.shown) < 10:
            paths = [shown(table.path(row)) for row in group[:_SHOWN_COPIES]]
            more = len(group) - len(paths)
            self.shown.append(" = ".join(paths) + (f" = {more} more" if more else ""))
