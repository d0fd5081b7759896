"""Writes and reads the index of a dataset version's images, a Parquet file with a row for each image.

The columns are the fields of `contract.image_index.ImageRecord`, MEMBER, the place of the member in the upload, which
is null if the upload is a compressed tar, and SOURCE, which files of older releases lack. Hashes are binary in the
file: `sha256` is 32 bytes, the perceptual hashes are 64-bit integers. Rows are sorted by split (train, val, test),
shard and row.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.datasets import Split
from contract.errors import Invalid
from contract.image_index import MEMBER, SOURCE, ImagePage, ImageRecord
from media.archives.places import Place

GROUP_ROWS = 8192  # of a row group, the unit that is read
PLACE = pa.schema(  # the fields of `media.archives.places.Place`
    {
        **{"start": pa.int64(), "stop": pa.int64(), "method": pa.int16()},
        **{"packed": pa.int64(), "size": pa.int64(), "crc": pa.uint32()},
    }
)
_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("sha256", pa.binary(32)),
        ("path", pa.string()),
        ("split", _TEXT),
        ("label", _TEXT),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
        ("average_hash", pa.uint64()),
        ("difference_hash", pa.uint64()),
        (MEMBER, pa.string()),
        *PLACE,
        (SOURCE, pa.int16()),
    ]
)

_REPEATED = ("split", "label", "width", "height", "shard")  # columns of few values; other columns get no dictionary
_SEARCHED = ("split", "label")  # columns whose least and greatest values tell which row groups to read

Source = Path | BinaryIO


class IndexedImage(NamedTuple):
    """An image, its name in the upload as stored, and its place there, for `read_member`, if it can be read alone.

    `source` is the number of the upload or prefix among those of the version.
    """

    record: ImageRecord
    member: str
    place: Place | None
    source: int = 0


class IndexWriter:
    """Writes an index from tables in the order of the index; holds at most about GROUP_ROWS rows in memory.

    A context manager; the file is complete when it ends.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(
            path, SCHEMA, compression="zstd", use_dictionary=list(_REPEATED), write_statistics=list(_SEARCHED)
        )
        self._waiting: list[pa.Table] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._count)
        self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Append rows with the columns of SCHEMA; SOURCE may be missing."""
        if SOURCE not in rows.column_names:
            rows = rows.append_column(SOURCE, pa.nulls(len(rows), pa.int16()))
        self._waiting.append(rows.select(SCHEMA.names).cast(SCHEMA))
        self._count += len(rows)
        self._write(self._count - self._count % GROUP_ROWS)

    def _write(self, count: int) -> None:
        if count:
            table = pa.concat_tables(self._waiting).unify_dictionaries()
            self._writer.write_table(table.slice(0, count), row_group_size=GROUP_ROWS)
            self._waiting = [table.slice(count)]
            self._count -= count


def read_index(source: Source, columns: Sequence[str] | None = None, split: Split | None = None) -> pa.Table:
    """Return the rows of a split, or all, with some columns, or all, in the order of the index.

    SOURCE has no nulls, and is there also if the file lacks it.
    """
    filters = [("split", "==", split.value)] if split else None
    if columns is not None and SOURCE not in columns:
        return pq.read_table(source, columns=list(columns), filters=filters)
    stored = pq.ParquetFile(source).schema_arrow.names
    chosen = [name for name in columns or SCHEMA.names if name in stored]
    table = pq.read_table(source, columns=chosen, filters=filters)
    if SOURCE not in stored:
        return table.append_column(SOURCE, pa.array([0] * len(table), pa.int16()))
    return table.set_column(chosen.index(SOURCE), SOURCE, pc.fill_null(table[SOURCE], pa.scalar(0, pa.int16())))


def index_batches(source: Source, columns: Sequence[str], split: Split) -> Iterator[pa.Table]:
    """Yield some columns of the rows of a split, in the order of the index, some thousand rows at a time."""
    file = pq.ParquetFile(source)
    for _, group in _groups(file, {"split": split.value}):
        rows = file.read_row_group(group, [*columns, "split"])
        yield rows.filter(_mask(rows, split, None)).select(list(columns))


def records(table: pa.Table) -> tuple[ImageRecord, ...]:
    """Return rows that have all columns of ImageRecord."""
    return tuple(_record(row) for row in table.to_pylist())


def index_page(
    source: Source, limit: int, cursor: str | None = None, split: Split | None = None, label: str | None = None
) -> ImagePage:
    """Return up to `limit` images of a split and class, or of all, in the order of the index.

    `cursor` is the `next` of the page before. Raise Invalid if it is not.
    """
    file = pq.ParquetFile(source)
    first = _position(cursor)
    items: list[ImageRecord] = []
    for start, group in _groups(file, {"split": split and split.value, "label": label}):
        matching = file.read_row_group(group, ["split", "label"])
        mask = _mask(matching, split, label)
        numbers = [number for number in pc.indices_nonzero(mask).to_pylist() if start + number >= first]
        if not numbers:
            continue
        missing = limit - len(items)
        items += records(file.read_row_group(group).take(numbers[:missing]))
        if len(numbers) > missing:
            return ImagePage(items=tuple(items), next=str(start + numbers[missing]))
    return ImagePage(items=tuple(items), next=None)


def find_images(source: Source, sha256: str) -> tuple[IndexedImage, ...]:
    """Return the images whose original bytes have this hash.

    There are several if the dataset has exact duplicates, and none if it lacks the image.
    """
    file = pq.ParquetFile(source)
    digest = pa.scalar(bytes.fromhex(sha256), SCHEMA.field("sha256").type)
    matches: list[IndexedImage] = []
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, ["sha256"])["sha256"]
        numbers = pc.indices_nonzero(pc.equal(column, digest))
        if len(numbers):
            rows = file.read_row_group(group).take(numbers)
            matches += map(_indexed, rows.to_pylist())
    return tuple(matches)


def missing_images(source: Source, hashes: Collection[str]) -> list[str]:
    """Return which hashes no image of an index has."""
    kind = SCHEMA.field("sha256").type
    named = pa.array([bytes.fromhex(sha256) for sha256 in hashes], kind)
    present = pc.is_in(named, value_set=read_index(source, ["sha256"])["sha256"].combine_chunks())
    return [sha256 for sha256, known in zip(hashes, present.to_pylist(), strict=True) if not known]


def _record(row: dict[str, Any]) -> ImageRecord:
    fields = {name: row[name] for name in ImageRecord.model_fields}
    fields["sha256"] = row["sha256"].hex()
    fields |= {name: f"{row[name]:016x}" for name in ("average_hash", "difference_hash")}
    return ImageRecord(**fields)


def _indexed(row: dict[str, Any]) -> IndexedImage:
    place = None if row["start"] is None else Place(*(row[name] for name in PLACE.names))
    return IndexedImage(_record(row), row[MEMBER], place, row.get(SOURCE) or 0)


def _position(cursor: str | None) -> int:
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 12):
        raise Invalid("the cursor is not one that a page of this list gave as `next`")
    return int(cursor or 0)


def _groups(file: pq.ParquetFile, values: dict[str, str | None]) -> Iterator[tuple[int, int]]:
    """Yield the first row and the number of each row group that may have rows with these values."""
    start = 0
    metadata = file.metadata
    numbers = {name: SCHEMA.get_field_index(name) for name in values}
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        if all(_may_have(columns.column(numbers[name]).statistics, value) for name, value in values.items()):
            yield start, group
        start += columns.num_rows


def _may_have(statistics: Any, value: str | None) -> bool:
    if value is None or statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= value <= statistics.max)


def _mask(table: pa.Table, split: Split | None, label: str | None) -> pa.ChunkedArray:
    mask = pa.chunked_array([pa.array([True] * len(table))])
    for name, value in (("split", split and split.value), ("label", label)):
        if value is not None:
            mask = pc.and_(mask, pc.equal(table[name].cast(pa.string()), value))
    return mask
