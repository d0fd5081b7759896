"""Finds and removes the rows of an image in the file that a batch prediction or an evaluation wrote."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from media.archives.limits import MIB

Source = Path | BinaryIO


@dataclass(frozen=True)
class ImageRows:
    """The rows of an image: those with its `sha256`, and in files of older releases, without hashes, its `names`.

    A name is a path, or the number of the image in its split as text.
    """

    sha256: str
    names: frozenset[str] = frozenset()

    def match(self, sha256: str | None, name: object) -> bool:
        return sha256 == self.sha256 if sha256 else str(name) in self.names


def has_rows(source: Source, form: str, image: ImageRows) -> bool:
    """Return whether a file has rows of an image; `form` is jsonl, csv or parquet."""
    if form == "parquet":
        file = pq.ParquetFile(source)
        return any(pc.any(_mask(batch, image)).as_py() for batch in _batches(file, image))
    if not image.names and not _mentions(source, image.sha256):  # most files, and the search is fast
        return False
    with _text(source) as text:
        rows = csv.DictReader(text) if form == "csv" else map(json.loads, text)
        return any(image.match(row.get("sha256"), row.get("image")) for row in rows)


def without_rows(source: Path, target: Path, form: str, image: ImageRows) -> int:
    """Copy a file without the rows of an image; return how many are left out. Without any, nothing is written."""
    if not has_rows(source, form, image):
        return 0
    if form == "parquet":
        return _copy_parquet(source, target, image)
    with _text(source) as text, target.open("w", encoding="utf-8", newline="") as out:
        return _copy_csv(text, out, image) if form == "csv" else _copy_lines(text, out, image)


def _copy_lines(text: TextIO, out: TextIO, image: ImageRows) -> int:
    count = 0
    for line in text:
        row = json.loads(line)
        if image.match(row.get("sha256"), row.get("image")):
            count += 1
        else:
            out.write(line)
    return count


def _copy_csv(text: TextIO, out: TextIO, image: ImageRows) -> int:
    reader, count = csv.DictReader(text), 0
    writer = csv.DictWriter(out, reader.fieldnames or ())
    writer.writeheader()
    for row in reader:
        if image.match(row.get("sha256"), row.get("image")):
            count += 1
        else:
            writer.writerow(row)
    return count


def _copy_parquet(source: Path, target: Path, image: ImageRows) -> int:
    file, count = pq.ParquetFile(source), 0
    with pq.ParquetWriter(target, file.schema_arrow) as writer:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            kept = rows.filter(pc.invert(_mask(rows, image)))
            count += len(rows) - len(kept)
            writer.write_table(kept)
    return count


def _batches(file: pq.ParquetFile, image: ImageRows) -> Iterator[pa.RecordBatch]:
    columns = [name for name in ("sha256", "image") if name in file.schema_arrow.names]
    yield from file.iter_batches(columns=columns)


def _mask(rows: Any, image: ImageRows) -> Any:
    """Return which rows of a table or batch are those of the image."""
    names = rows.column("image").cast(pa.string())
    by_name = pc.fill_null(pc.is_in(names, pa.array(sorted(image.names), pa.string())), False)
    if "sha256" not in rows.schema.names:
        return by_name
    hashes = rows.column("sha256")
    return pc.or_(pc.fill_null(pc.equal(hashes, image.sha256), False), pc.and_(pc.is_null(hashes), by_name))


def _mentions(source: Source, text: str) -> bool:
    """Return whether the bytes of a file contain a text."""
    wanted, tail = text.encode(), b""
    file = source.open("rb") if isinstance(source, Path) else source
    file.seek(0)
    try:
        while chunk := file.read(MIB):
            if wanted in tail + chunk:
                return True
            tail = chunk[-len(wanted) :]
    finally:
        if isinstance(source, Path):
            file.close()
    return False


def _text(source: Source) -> TextIO:
    """Open a file as text; a stream is read from its start."""
    if isinstance(source, Path):
        return source.open(encoding="utf-8", newline="")
    source.seek(0)
    return io.TextIOWrapper(source, encoding="utf-8", newline="")
