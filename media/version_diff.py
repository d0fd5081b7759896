"""Compares the images of two dataset versions by the hashes of their bytes, from their indexes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.datasets import Split
from contract.revisions import DiffKind

COLUMNS = ("sha256", "split", "label")

Rows = NDArray[np.int64]
_NONE: Rows = np.empty(0, np.int64)


@dataclass(frozen=True)
class Difference:
    """The numbers of the rows that differ, in pairs for images that both versions have; copies count each.

    A relabelled image has another label and perhaps another split, a moved one only another split.
    """

    unchanged: int
    removed: Rows  # of the old index
    added: Rows  # of the new index, as below
    relabelled: tuple[Rows, Rows]  # of the old and the new index
    moved: tuple[Rows, Rows]

    def pairs(self, kind: DiffKind) -> tuple[Rows, Rows]:
        """Return the rows of a kind in the old and the new index; -1 in one that lacks the image."""
        if kind == "added":
            return np.full(len(self.added), -1, np.int64), self.added
        if kind == "removed":
            return self.removed, np.full(len(self.removed), -1, np.int64)
        return self.relabelled if kind == "relabelled" else self.moved


def compare(old: pa.Table, new: pa.Table) -> Difference:
    """Compare two indexes with COLUMNS; takes about 200 bytes an image."""
    keys = _keys(old, new)
    rows = (np.arange(len(old)), np.arange(len(new)))
    same, rows = _matched(keys, rows, 36)  # hash, split and label
    in_split, rows = _matched(keys, rows, 33)  # hash and split
    elsewhere, (removed, added) = _matched(keys, rows, 32)  # hash
    kept = keys[0]["label"][elsewhere[0]] == keys[1]["label"][elsewhere[1]]
    moved = (elsewhere[0][kept], elsewhere[1][kept])
    relabelled = [np.concatenate([one, other[~kept]]) for one, other in zip(in_split, elsewhere, strict=True)]
    order = np.argsort(relabelled[1], kind="stable")
    return Difference(len(same[0]), removed, added, (relabelled[0][order], relabelled[1][order]), moved)


def _keys(old: pa.Table, new: pa.Table) -> tuple[NDArray[np.void], NDArray[np.void]]:
    labels: dict[str, int] = {}
    splits = {split.value: number for number, split in enumerate(Split)}
    keys = []
    for table in (old, new):
        key = np.zeros(len(table), [("sha256", "V32"), ("split", "u1"), ("label", "<u4")])
        hashes = b"".join(table["sha256"].to_pylist())
        key["sha256"] = np.frombuffer(hashes, "V32")
        for name, numbers in (("split", splits), ("label", labels)):
            coded = table[name].combine_chunks().dictionary_encode()
            for text in coded.dictionary.to_pylist():
                numbers.setdefault(text, len(numbers))
            codes = np.array([numbers[text] for text in coded.dictionary.to_pylist()], np.uint32)
            key[name] = codes[coded.indices.to_numpy()] if len(table) else 0
        keys.append(key)
    return keys[0], keys[1]


def _matched(
    keys: tuple[NDArray[np.void], NDArray[np.void]], rows: tuple[Rows, Rows], size: int
) -> tuple[tuple[Rows, Rows], tuple[Rows, Rows]]:
    """Pair rows whose keys have the same first bytes, each row once; return the pairs, and the rows that are left."""
    old, new = (_numbered(key[row], size) for key, row in zip(keys, rows, strict=True))
    _, first, second = np.intersect1d(old, new, assume_unique=True, return_indices=True)
    order = np.argsort(second, kind="stable")
    pairs = (rows[0][first[order]], rows[1][second[order]])
    left = [np.delete(row, matched) for row, matched in zip(rows, (first, second), strict=True)]
    return pairs, (left[0], left[1])


def _numbered(keys: NDArray[np.void], size: int) -> NDArray[np.bytes_]:
    """Return the first bytes of keys with the number of each among equal ones, so that all differ."""
    if not len(keys):
        return np.empty(0, f"S{size + 4}")
    heads = np.frombuffer(keys.tobytes(), np.uint8).reshape(len(keys), -1)[:, :size]
    texts = np.ascontiguousarray(heads).view(f"S{size}").ravel()
    order = np.argsort(texts, kind="stable")
    starts = np.flatnonzero(np.r_[True, texts[order][1:] != texts[order][:-1]])
    counts = np.diff(np.r_[starts, len(texts)])
    number = np.empty(len(texts), ">u4")
    number[order] = np.arange(len(texts)) - np.repeat(starts, counts)
    joined = np.concatenate([heads, number.view(np.uint8).reshape(-1, 4) + np.uint8(0)], axis=1)
    return np.ascontiguousarray(joined).view(f"S{size + 4}").ravel()
