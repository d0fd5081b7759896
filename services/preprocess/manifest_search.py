"""Finds the CSV manifest of an archive, and the files that its rows name."""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from contract.errors import BadDataset, BadImage
from media.archives.names import IMAGES, clean
from media.archives.rejections import shown
from services.preprocess import csv_manifest
from services.preprocess.csv_manifest import Row

MOST_TABLES = 10


@dataclass(frozen=True)
class Manifest:
    """A CSV file, its rows, and the files that they may name."""

    name: str
    rows: tuple[Row, ...]
    paths: "Paths"


def search(
    files: Mapping[str, str], read: Callable[[str], bytes], most_rows: int
) -> tuple[Manifest | None, dict[str, str]]:
    """Return the manifest outside of any folder, if there is one, and why each other CSV file there is none.

    `files` maps names to names in the archive; the reasons are by the latter. A file called manifest.csv or labels.csv
    must be a manifest. Another CSV file is one if it has the columns, and at least half of its rows name files or it
    names half of the files. A sample submission counts only without another manifest. Raise BadDataset if a file that
    must be a manifest lacks the columns, or one with the columns cannot be read.
    """
    tables = csv_manifest.tables(files)
    if not tables:
        return None, {}
    paths = Paths(files)
    if tables[0].lower() in csv_manifest.NAMES:
        return _read(tables[0], _content(tables[0], files, read), most_rows, paths), {}
    strays = {files[table]: "one of several CSV files; name the one to use manifest.csv" for table in tables}
    usable: list[str] = []
    for table in tables[:MOST_TABLES]:
        data = _content(table, files, read)
        try:
            csv_manifest.check_columns(table, data)
        except BadDataset as error:
            strays[files[table]] = error.message
            continue
        if _describes(_read(table, data, most_rows, paths), len(files)):
            usable.append(table)
        else:
            strays[files[table]] = f"the rows of {shown(table)} name other files than those of the archive"
    usable = [table for table in usable if "submission" not in table.lower()] or usable
    if len(usable) != 1 or len(tables) > MOST_TABLES:
        return None, strays
    others = {file: reason for file, reason in strays.items() if file != files[usable[0]]}
    return _read(usable[0], _content(usable[0], files, read), most_rows, paths), others


def _read(table: str, data: bytes, most_rows: int, paths: "Paths") -> Manifest:
    return Manifest(table, tuple(csv_manifest.rows(table, data, most_rows)), paths)


def _content(table: str, files: Mapping[str, str], read: Callable[[str], bytes]) -> bytes:
    try:
        return read(files[table])
    except BadImage as error:
        raise BadDataset(f"{shown(table)} cannot be read: {error.message}") from error


def _describes(manifest: Manifest, files: int) -> bool:
    matched = [match[0] for row in manifest.rows if len(match := manifest.paths.matches(row.path)) == 1]
    return bool(matched) and (2 * len(matched) >= len(manifest.rows) or 2 * len(set(matched)) >= files)


class Paths:
    """Finds the file of an archive that a manifest's path means.

    A path means the file of this name; else the one file whose name ends with it, in whole folders; else the same
    for image files without their extension. Names are compared in Unicode's NFC, because macOS writes NFD.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        """Index the files by their names relative to the manifest; the values are their names in the archive."""
        self._exact = {_composed(name): file for name, file in files.items()} | dict(files)
        self._files = tuple(files.values())

    def matches(self, path: str) -> list[str]:
        """Return the file that the path means, no file, or two if there are several."""
        key = path if path in self._exact else _composed(clean(path.replace("\\", "/")))
        if not key or key in self._exact:
            return [self._exact[key]] if key else []
        ending = f"/{key}"[::-1]
        for names in self._endings:
            first = bisect_left(names, (ending, ""))
            if matching := [file for name, file in names[first : first + 2] if name.startswith(ending)]:
                return matching
        return []

    @cached_property
    def _endings(self) -> tuple[list[tuple[str, str]], ...]:
        """All files, and image files without their extension."""
        whole = [(_composed(file), file) for file in self._files]
        return _ordered(whole), _ordered((key.rpartition(".")[0], file) for key, file in whole if _image(key))


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _image(name: str) -> bool:
    return name.lower().endswith(IMAGES)


def _ordered(names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the files sorted by their names read backwards, so that equal endings are neighbours."""
    return sorted((f"/{name}"[::-1], file) for name, file in names)
