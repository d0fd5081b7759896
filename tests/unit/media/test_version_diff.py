"""Versions are compared image by image, also with copies."""

import hashlib

import pyarrow as pa

from media.version_diff import Difference, compare


def index(*rows: tuple[str, str, str]) -> pa.Table:
    """An index of images by name, split and label."""
    names, splits, labels = zip(*rows, strict=True) if rows else ((), (), ())
    hashes = [hashlib.sha256(name.encode()).digest() for name in names]
    return pa.table(
        {
            "sha256": pa.array(hashes, pa.binary(32)),
            "split": pa.array(splits, pa.string()).dictionary_encode(),
            "label": pa.array(labels, pa.string()).dictionary_encode(),
        }
    )


def rows_of(difference: Difference) -> dict[str, list[tuple[int, int]]]:
    kinds = ("added", "removed", "relabelled", "moved")
    return {
        kind: list(zip(*(rows.tolist() for rows in difference.pairs(kind)), strict=True))  # type: ignore[arg-type]
        for kind in kinds
    }


def test_images_are_added_removed_relabelled_and_moved() -> None:
    old = index(("a", "train", "cat"), ("b", "train", "cat"), ("c", "val", "dog"), ("d", "test", "dog"))
    new = index(("b", "train", "dog"), ("c", "train", "cat"), ("d", "train", "dog"), ("e", "val", "emu"))

    difference = compare(old, new)

    assert difference.unchanged == 0
    assert rows_of(difference) == {
        "added": [(-1, 3)],
        "removed": [(0, -1)],
        "relabelled": [(1, 0), (2, 1)],
        "moved": [(3, 2)],
    }


def test_copies_count_each() -> None:
    old = index(("a", "train", "cat"), ("a", "train", "cat"), ("a", "val", "cat"))
    new = index(("a", "train", "cat"), ("a", "train", "dog"), ("a", "train", "dog"), ("a", "test", "dog"))

    difference = compare(old, new)

    assert difference.unchanged == 1
    assert {kind: len(rows) for kind, rows in rows_of(difference).items()} == {
        "added": 1,
        "removed": 0,
        "relabelled": 2,
        "moved": 0,
    }


def test_equal_and_empty_indexes() -> None:
    rows = index(("a", "train", "cat"), ("b", "val", "dog"))

    assert compare(rows, rows).unchanged == 2
    assert rows_of(compare(index(), rows))["added"] == [(-1, 0), (-1, 1)]
    assert rows_of(compare(rows, index()))["removed"] == [(0, -1), (1, -1)]
