"""Chooses images of a dataset version to look at, from its index: some of every class, or those of a warning."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.datasets import DatasetWarning, Split
from contract.errors import Invalid
from media.image_index import Source, read_index

COPIES = ("duplicate_images", "images_in_several_splits", "images_with_several_labels")
PATHS = ("repaired_images", "colour_in_grey_dataset", "images_without_group")
CLASSES = ("one_image_classes", "untrained_classes", "untested_classes")
_LISTED = ("sha256", "split", "label")

Numbers = NDArray[np.int64]


class ListedImage(NamedTuple):
    """An image as a grid shows it."""

    sha256: str
    split: Split
    label: str


class ListedPage(NamedTuple):
    """Some images of `total`, and the cursor of the next page."""

    total: int
    items: tuple[ListedImage, ...]
    next: str | None


class ContradictingImage(NamedTuple):
    """An image that occurs with several labels, in the order of the index; `split` is that of the first."""

    sha256: str
    split: Split
    labels: tuple[str, ...]


def contradicting(source: Source) -> Iterator[ContradictingImage]:
    """Yield the images with several labels, once each."""
    table = read_index(source, _LISTED)
    rows = _listed(table, _copies(table, "images_with_several_labels"))
    for sha256, copies in groupby(rows, key=lambda row: row.sha256):
        first, *others = copies
        labels = dict.fromkeys([first.label, *(row.label for row in others)])
        yield ContradictingImage(sha256, first.split, tuple(labels))


def names_images(warning: DatasetWarning) -> bool:
    """Return whether the images that a warning is about can be found; of PATHS and CLASSES those of its examples."""
    return warning.code in {*COPIES, *PATHS, *CLASSES}


def sample(source: Source, count: int) -> tuple[ListedImage, ...]:
    """Return up to `count` images, the first ones of as many classes as possible."""
    table = read_index(source, _LISTED)
    labels = _numbered(table["label"])
    classes = int(labels.max(initial=-1)) + 1
    rank = _rank_in_class(labels)
    if classes > count:  # evenly spaced classes
        chosen = np.linspace(0, classes - 1, count).astype(np.int64)
        rank = np.where(np.isin(labels, chosen), rank, len(labels))
    rows = np.lexsort((labels, rank))[:count]
    return _listed(table, rows[np.argsort(labels[rows], kind="stable")])


def warned_page(
    source: Source,
    warning: DatasetWarning,
    limit: int,
    cursor: str | None = None,
    split: Split | None = None,
    label: str | None = None,
) -> ListedPage:
    """Return up to `limit` images that a warning is about, copies side by side.

    `cursor` is the `next` of the page before; raises Invalid if it is not.
    """
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 12):
        raise Invalid("the cursor is not one that a page of this list gave as `next`")
    table = read_index(source, (*_LISTED, "path") if warning.code in PATHS else _LISTED)
    rows = _warned_rows(table, warning)
    for column, value in (("split", split), ("label", label)):
        if value is not None:
            rows = rows[_equals(table[column], str(value))[rows]]
    start = int(cursor or 0)
    following = str(start + limit) if start + limit < len(rows) else None
    return ListedPage(len(rows), _listed(table, rows[start : start + limit]), following)


def _warned_rows(table: pa.Table, warning: DatasetWarning) -> Numbers:
    if warning.code in COPIES:
        return _copies(table, warning.code)
    column = table["path" if warning.code in PATHS else "label"].cast(pa.string())
    return np.flatnonzero(pc.is_in(column, value_set=pa.array(warning.examples, pa.string())).to_numpy())


def _copies(table: pa.Table, code: str) -> Numbers:
    """Return the rows of images that occur several times, or in several splits or classes; each with its copies."""
    images = _numbered(table["sha256"])
    match code:
        case "duplicate_images":
            times = np.bincount(images)
        case "images_in_several_splits":
            times = _distinct(images, _numbered(table["split"]))
        case _:
            times = _distinct(images, _numbered(table["label"]))
    rows = np.flatnonzero((times > 1)[images])
    return rows[np.argsort(images[rows], kind="stable")]


def _distinct(images: Numbers, values: Numbers) -> Numbers:
    """Return how many different values each image has."""
    most = int(values.max(initial=0)) + 1
    return np.bincount(np.unique(images * most + values) // most)


def _numbered(column: pa.ChunkedArray) -> Numbers:
    """Return the values as numbers from 0, in the order in which they appear first."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy(), np.int64)


def _rank_in_class(labels: Numbers) -> Numbers:
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(np.bincount(labels)) - np.bincount(labels)
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - starts[labels[order]]
    return rank


def _equals(column: pa.ChunkedArray, value: str) -> Any:
    return pc.equal(column.cast(pa.string()), value).to_numpy()


def _listed(table: pa.Table, rows: Numbers) -> tuple[ListedImage, ...]:
    return tuple(
        ListedImage(row["sha256"].hex(), Split(row["split"]), row["label"])
        for row in table.take(pa.array(rows)).select(list(_LISTED)).to_pylist()
    )
