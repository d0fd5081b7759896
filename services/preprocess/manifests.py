"""Reads tables as manifests: which files their rows may name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from contract.datasets import Split
from contract.errors import BadDataset, BadImage
from media.archives.rejections import shown
from services.preprocess.column_hints import column_hint
from services.preprocess.columns import NO_NAMES, PATH, ColumnNames, Row, find_columns, read_rows
from services.preprocess.manifest_paths import Paths
from services.preprocess.tables import Table, normalised_column, read_table

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Manifest:
    """A table that labels images: its name in the archive, its rows, and the files that they may name.

    `split` is that of rows that name none. `encoding` is the one of the text that was detected, if it had to be.
    `preferred` are the files in the folder of the split that the table's name says; `trainLabels.csv` means `train/`.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    paths: Paths
    split: Split | None = None
    encoding: str | None = None
    preferred: Paths | None = None

    @cached_property
    def matches(self) -> list[list[str]]:
        """The files that each row may mean."""
        return [self._matches(row.path) for row in self.rows]

    def _matches(self, path: str) -> list[str]:
        files = self.paths.matches(path)
        return self.preferred.matches(path) or files if self.preferred and len(files) > 1 else files


@dataclass(frozen=True)
class Reader:
    """Reads tables: `read` returns a file's bytes, `columns` are those that the spec names."""

    read: Read
    most_rows: int
    encoding: str | None = None
    columns: ColumnNames = NO_NAMES

    def table(self, name: str, file: str) -> Table:
        try:
            return read_table(name, self.read(file), self.encoding, self._path_columns)
        except BadImage as error:
            raise BadDataset(f"{shown(name)} cannot be read: {error.message}") from error

    def manifest(self, table: Table, file: str, paths: Paths, preferred: Paths | None) -> Manifest:
        """Read a table as a manifest; raise BadDataset if it is not one."""
        columns = find_columns(table, self.columns, lambda path: bool(paths.matches(path)))
        rows = tuple(read_rows(table, columns, self.most_rows))
        return Manifest(file, table.columns, rows, paths, encoding=table.encoding, preferred=preferred)

    def hint(self, table: Table, paths: Paths) -> list[str]:
        hint = column_hint(table, lambda path: bool(paths.matches(path)), self.most_rows)
        return [hint] if hint else []

    @property
    def _path_columns(self) -> tuple[str, ...]:
        return (*PATH, normalised_column(self.columns.path)) if self.columns.path else PATH
