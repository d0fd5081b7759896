"""Merges the indexes of a dataset's parts, and finds from them what images are equal."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contract.artifacts import ObjectRef
from contract.datasets import DatasetWarning, Split
from media.image_index import IndexWriter, read_index
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
                rows = read_index(file, split=split)
                number = rows.schema.get_field_index("shard")
                writer.add(rows.set_column(number, "shard", pc.add(rows["shard"], pa.scalar(before, pa.int32()))))
                before += counts[split]
    for file in files:
        file.unlink()
    table = read_index(path, ["sha256", "path", "split", "label"])
    return data_sha256(table), duplicate_warnings(_repeated(table))


def data_sha256(table: pa.Table) -> str:
    """Return a hash that is equal for two datasets with the same images, labels and splits, in any order.

    It is the SHA-256 of one line for each image, `<sha256 of the bytes, hex> <split> <label>\\n` in UTF-8, sorted by
    hash, split and label. Names of files, size, mode and resize do not count.
    """
    plain = table.select(["sha256", "split", "label"])
    for number, name in enumerate(("split", "label"), start=1):
        plain = plain.set_column(number, name, plain[name].cast(pa.string()))
    order = pc.sort_indices(plain, [(name, "ascending") for name in plain.schema.names])
    digest = hashlib.sha256()
    for start in range(0, len(order), _CHUNK_ROWS):
        chunk = plain.take(order.slice(start, _CHUNK_ROWS))
        lines = (
            f"{sha256.hex()} {split} {label}\n"
            for sha256, split, label in zip(*(chunk[name].to_pylist() for name in chunk.schema.names), strict=True)
        )
        digest.update("".join(lines).encode())
    return digest.hexdigest()


def _repeated(table: pa.Table) -> Iterator[tuple[str, str, Split, str]]:
    """Yield the rows of images that occur more than once, in the order of the index."""
    counts = table.group_by("sha256").aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1))["sha256"]
    rows = table.filter(pc.is_in(table["sha256"], several.combine_chunks()))
    for batch in rows.to_batches(_CHUNK_ROWS):
        for sha256, path, split, label in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield sha256.hex(), path, Split(split), label
