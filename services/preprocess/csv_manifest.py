"""CSV manifests: one column names the file, one its class, and one may name its split."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from contract.errors import BadDataset
from media.archives.rejections import shown

NAMES = ("manifest.csv", "labels.csv")  # a file of this name must be a manifest
COLUMNS = {
    "path": ("path", "file", "file_name", "filename", "image", "image_id", "id"),
    "label": ("label", "class", "target", "category"),
    "split": ("split",),
}
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Row:
    """A line of a manifest, its cells stripped of white space; `split` may be empty."""

    path: str
    label: str
    split: str


def tables(names: Collection[str]) -> list[str]:
    """Return the CSV files outside of any folder; only the one to use if it is called manifest.csv or labels.csv."""
    candidates = sorted(name for name in names if "/" not in name and name.lower().endswith((".csv", ".tsv")))
    by_name = {name.lower(): name for name in candidates}
    return next(([by_name[name]] for name in NAMES if name in by_name), candidates)


def check_columns(name: str, data: bytes) -> None:
    """Raise BadDataset if the file lacks a column that a manifest needs, whatever its encoding."""
    try:
        _opened(name, data.decode("utf-8-sig", errors="replace"))
    except csv.Error as error:
        raise BadDataset(f"{shown(name)} is not a readable CSV file") from error


def rows(name: str, data: bytes, most: int) -> Iterator[Row]:
    """Yield the rows of a UTF-8 CSV file, with or without a byte order mark, separated by comma, semicolon or tab.

    Raise BadDataset if it cannot be read, lacks a column or has more than `most` rows.
    """
    try:
        text = data.decode("utf-8-sig")
        reader, columns = _opened(name, text)
        for count, cells in enumerate((cells for cells in reader if cells), start=1):
            if count > most:
                raise BadDataset(f"{shown(name)} has over {most} rows")
            yield Row(**{field: cells[at].strip() if at < len(cells) else "" for field, at in columns.items()})
    except UnicodeDecodeError:
        raise BadDataset(f"{shown(name)} is not UTF-8 text") from None
    except csv.Error as error:
        raise BadDataset(f"{shown(name)} is not a readable CSV file") from error


def _opened(name: str, text: str) -> tuple[Iterator[list[str]], dict[str, int]]:
    """Return a reader after the header, and the column numbers; that of an absent column is beyond any row."""
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        header = [_column(cell) for cell in next((cells for cells in reader if cells), [])]
        if "".join(header).startswith("sep="):  # Excel's own first line
            header = [_column(cell) for cell in next(reader, [])]
        columns = {
            field: next((header.index(column) for column in usual if column in header), len(text))
            for field, usual in COLUMNS.items()
        }
        if max(columns["path"], columns["label"]) < len(text):
            return reader, columns
    raise BadDataset(
        f"{shown(name)} needs the columns path,label or path,label,split in its first line "
        f"(for path also {', '.join(COLUMNS['path'][1:])}; for label also {', '.join(COLUMNS['label'][1:])})"
    )


def _column(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_")
