"""Reads the tables of an archive: CSV, TSV and JSON Lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from contract.errors import BadDataset
from media.archives.encoding import decoded_text
from media.archives.rejections import shown

EXTENSIONS = (".csv", ".tsv", ".jsonl")
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """A table and its header, also with normalized names of columns; rows are parsed again each time they are read.

    `encoding` is the one that was detected, if it had to be.
    """

    name: str
    header: tuple[str, ...]
    columns: tuple[str, ...]
    encoding: str | None
    _text: str
    _delimiter: str

    def rows(self, most: int) -> Iterator[list[str]]:
        """Yield the cells of each row that is not empty. Raise BadDataset if it cannot be read or has too many rows."""
        rows = _csv_rows(self._text, self._delimiter) if self._delimiter else self._json_rows()
        try:
            for count, cells in enumerate(rows, start=1):
                if count > most:
                    raise BadDataset(f"{shown(self.name)} has over {most} rows")
                yield cells
        except csv.Error as error:
            raise BadDataset(f"{shown(self.name)} is not a readable CSV file") from error

    def _json_rows(self) -> Iterator[list[str]]:
        for row in _objects(self.name, self._text):
            cells = {normalised_column(key): value for key, value in row.items()}
            yield [_cell(cells.get(column)) for column in self.columns]


def is_table(name: str) -> bool:
    return name[-6:].lower().endswith(EXTENSIONS)


def read_table(name: str, data: bytes, encoding: str | None, path_columns: Iterable[str]) -> Table:
    """Return a table. Its delimiter is the one by which the first row has one of the path columns, or else most cells.

    Text that is not UTF-8 is in `encoding`, or in the one that is detected. Raise BadDataset if it is not readable.
    """
    try:
        text, detected = decoded_text(data, encoding)
    except UnicodeError:
        raise BadDataset(f"{shown(name)} is not text in UTF-8 or in {encoding or 'another known encoding'}") from None
    if name.lower().endswith(".jsonl"):
        header = {normalised_column(key): key for row in _objects(name, text) for key in row}
        return Table(name, tuple(header.values()), tuple(header), detected, text, "")
    try:
        headers = {delimiter: _header(text, delimiter) for delimiter in _DELIMITERS}
    except csv.Error as error:
        raise BadDataset(f"{shown(name)} is not a readable CSV file") from error
    paths = frozenset(path_columns)
    columns = {delimiter: tuple(map(normalised_column, header)) for delimiter, header in headers.items()}
    with_path = [key for key in _DELIMITERS if len(columns[key]) > 1 and paths & set(columns[key])]
    delimiter = max(with_path or _DELIMITERS, key=lambda key: len(columns[key]))
    return Table(name, tuple(headers[delimiter]), columns[delimiter], detected, text, delimiter)


def normalised_column(text: str) -> str:
    return text.strip().lower().replace(" ", "_").replace("-", "_")


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return (cells for cells in rows if any(cell.strip() for cell in cells))


def _header(text: str, delimiter: str) -> list[str]:
    return next(_after_separator_line(_reader(text, delimiter), delimiter), [])


def _csv_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    rows = _after_separator_line(_reader(text, delimiter), delimiter)
    next(rows, None)
    return ([cell.strip() for cell in cells] for cells in rows)


def _after_separator_line(rows: Iterator[list[str]], delimiter: str) -> Iterator[list[str]]:
    """Yield the header and the rows, without Excel's own first line `sep=;`."""
    header = [cell.strip() for cell in next(rows, [])]
    if "".join(header).lower() in ("sep=", f"sep={delimiter}"):
        header = [cell.strip() for cell in next(rows, [])]
    yield header
    yield from rows


def _objects(name: str, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise BadDataset(f"line {number} of {shown(name)} is not a JSON object")
        yield row


def _cell(value: Any) -> str:
    """Return a JSON value as in a CSV file; lists and objects are empty."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""
