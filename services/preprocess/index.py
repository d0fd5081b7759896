"""Merges the indexes of a dataset's parts, and finds from them what images are equal."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.datasets import DatasetWarning, Split
from media.image_index import SCHEMA, IndexWriter, index_batches, read_index
from services.preprocess.duplicates import duplicate_warnings

Fetch = Callable[[ObjectRef, Path], None]
_CHUNK_ROWS = 1 << 16


def merge_indexes(
    parts: Sequence[ObjectRef], shards: Sequence[dict[Split, int]], fetch: Fetch, path: Path
) -> tuple[str, tuple[DatasetWarning, ...]]:
    """Write the index of all parts, and return the hash of the data and the warnings of equal images.

    `shards` are the numbers of shards of each part: the shards of a part follow those of the parts before. A few
    thousand rows are in memory at a time, and for the hash about 100 bytes a row.
    """
    files = []
    for number, part in enumerate(parts):
        files.append(path.with_name(f"index-{number:05d}.parquet"))
        fetch(part, files[-1])
    with IndexWriter(path) as writer:
        for split in Split:
            before = 0
            for file, counts in zip(files, shards, strict=True):
                for rows in index_batches(file, SCHEMA.names, split) if counts[split] else ():
                    number = rows.schema.get_field_index("shard")
                    writer.add(rows.set_column(number, "shard", pc.add(rows["shard"], pa.scalar(before, pa.int32()))))
                before += counts[split]
    for file in files:
        file.unlink()
    return summary_of(path)


def summary_of(path: Path) -> tuple[str, tuple[DatasetWarning, ...]]:
    """Return a hash of the data of an index, and the warnings of equal images.

    The hash is equal for two datasets with the same images, labels and splits, in any order. It is the SHA-256 of one
    line for each image, `<sha256 of the bytes, hex> <split> <label>\\n` in UTF-8, sorted by hash, split and label.
    Names of files, size, mode and resize do not count.
    """
    table = read_index(path, ["sha256", "split", "label"]).unify_dictionaries().combine_chunks()
    hashes = np.frombuffer(b"".join(chunk.buffers()[1] for chunk in table["sha256"].chunks), "S32")[: len(table)]
    splits, split_names = _ranked(table["split"])
    labels, label_names = _ranked(table["label"])
    del table
    order = np.lexsort((labels, splits, hashes))
    ends = [[f" {split} {label}\n" for label in label_names] for split in split_names]
    digest = hashlib.sha256()
    for start in range(0, len(order), _CHUNK_ROWS):
        chosen = order[start : start + _CHUNK_ROWS]
        digits = hashes[chosen].tobytes().hex()
        pairs = zip(splits[chosen].tolist(), labels[chosen].tolist(), strict=True)
        lines = (digits[64 * row : 64 * row + 64] + ends[split][label] for row, (split, label) in enumerate(pairs))
        digest.update("".join(lines).encode())
    return digest.hexdigest(), duplicate_warnings(_repeated(path, hashes, order))


def _ranked(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Return numbers for the texts of a column, and the texts by their numbers, which are in their order."""
    if not column.num_chunks:
        return np.empty(0, np.int32), []
    coded = column.combine_chunks()
    texts = coded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=lambda number: texts[number].encode())
    ranks = np.empty(len(texts), np.int32)
    ranks[order] = np.arange(len(texts))
    return ranks[coded.indices.to_numpy()], [texts[number] for number in order]


def _repeated(
    path: Path, hashes: NDArray[np.bytes_], order: NDArray[np.int64]
) -> Iterator[tuple[str, str, Split, str]]:
    """Yield the rows of images that occur more than once, in the order of the index."""
    several = np.zeros(len(hashes), bool)
    for start in range(0, len(order) - 1, _CHUNK_ROWS):
        chosen = order[start : start + _CHUNK_ROWS + 1]
        equal = hashes[chosen[1:]] == hashes[chosen[:-1]]
        several[chosen[1:][equal]] = several[chosen[:-1][equal]] = True
    if not several.any():
        return
    first = 0
    for batch in pq.ParquetFile(path).iter_batches(_CHUNK_ROWS, columns=["sha256", "path", "split", "label"]):
        rows = batch.filter(pa.array(several[first : first + len(batch)]))
        first += len(batch)
        for sha256, name, split, label in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            yield sha256.hex(), name, Split(split), label
