"""Finds the manifests of an archive among its tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from contract.datasets import Split
from contract.errors import BadDataset, BadImage
from media.archives.names import IMAGES
from media.archives.rejections import shown
from services.preprocess.columns import PATH, Row, find_columns, read_rows
from services.preprocess.folders import SplitFolder
from services.preprocess.manifest_paths import Paths
from services.preprocess.split_names import split_named
from services.preprocess.tables import Table, is_table, read_table

MOST_TABLES = 10
_NAMES = ("manifest", "labels", "metadata")  # of tables that count before others, without their extension
_WORDS = ("labels", "annotations", "metadata", "classes", "manifest", "list")  # in names such as train_labels.csv


Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Manifest:
    """A table that labels images: its name in the archive, its rows, and the files that they may name.

    `split` is that of rows that name none. `encoding` is the one of the text that was detected, if it had to be.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    paths: Paths
    split: Split | None = None
    encoding: str | None = None

    @cached_property
    def matches(self) -> list[list[str]]:
        """The files that each row may mean."""
        return [self.paths.matches(row.path) for row in self.rows]


@dataclass
class Search:
    """What was found: manifests, and tables that are none, by their names in the archive, with the reason."""

    manifests: list[Manifest] = field(default_factory=list)
    strays: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Reads tables: `read` returns a file's bytes, `group_by` names a column."""

    read: Read
    most_rows: int
    encoding: str | None = None
    group_by: str | None = None

    def table(self, name: str, file: str) -> Table:
        try:
            return read_table(name, self.read(file), self.encoding, PATH)
        except BadImage as error:
            raise BadDataset(f"{shown(name)} cannot be read: {error.message}") from error

    def manifest(self, table: Table, file: str, paths: Paths) -> Manifest:
        columns = find_columns(table, self.group_by)
        rows = tuple(read_rows(table, columns, self.most_rows))
        return Manifest(file, table.columns, rows, paths, encoding=table.encoding)


def search(files: Mapping[str, str], reader: Reader) -> Search:
    """Return the manifests outside of any folder, and why each other table there is none.

    `files` maps names to names in the archive. A file called manifest.csv must be a manifest. Another table is one if
    it has the columns, and at least half of its rows name files or it names half of the files. Several are used
    together if their names say different splits (train.csv and test.csv). A sample submission counts only without
    another manifest. Raise BadDataset if a file that must be a manifest is none, or one with the columns is unreadable.
    """
    tables = sorted(name for name in files if "/" not in name and is_table(name))
    result = Search()
    if not tables:
        return result
    paths = Paths(files)
    if required := next((name for name in tables if _stem(name) == "manifest"), None):
        result.manifests.append(reader.manifest(reader.table(required, files[required]), files[required], paths))
        result.strays = {files[name]: f"{shown(required)} is the manifest" for name in tables if name != required}
        return result
    usable: dict[str, Manifest] = {}
    for name in sorted(tables, key=_preference)[:MOST_TABLES]:
        try:
            table = reader.table(name, files[name])
            find_columns(table)
        except BadDataset as error:
            result.strays[files[name]] = error.message
            continue
        manifest = reader.manifest(table, files[name], paths)
        if reason := _stray(name, manifest, len(files) - len(tables)):
            result.strays[files[name]] = reason
        else:
            usable[name] = manifest
    result.manifests = _chosen(usable)
    chosen = {manifest.name for manifest in result.manifests}
    for name in tables:
        if files[name] not in chosen:
            result.strays.setdefault(files[name], "one of several tables; name the one to use manifest.csv")
    return result


def search_split_folders(files: Mapping[str, str], splits: Mapping[str, SplitFolder], reader: Reader) -> Search:
    """Return the manifests directly in split folders, for the files of that folder, as in `train/metadata.jsonl`."""
    result = Search()
    for folder in sorted({name.rpartition("/")[0] for name in files if is_table(name)}):
        parts = folder.split("/")
        split = splits.get(parts[0])
        if split is None or len(parts) != split.depth:
            continue
        start = f"{folder}/"
        inner = search({n.removeprefix(start): file for n, file in files.items() if n.startswith(start)}, reader)
        result.manifests += (replace(manifest, split=split.split) for manifest in inner.manifests)
        result.strays |= inner.strays
    return result


def search_other_folders(files: Mapping[str, str], reader: Reader) -> Search:
    """Return the manifest in a folder without images, as `annotations/labels.csv` beside `images/`."""
    tables = {name for name in files if is_table(name) and name.count("/") == 1}
    if tables:
        with_images = {name.partition("/")[0] for name in files if name.lower().endswith(IMAGES)}
        tables = {name for name in tables if name.partition("/")[0] not in with_images}
    inner = {name.rpartition("/")[2]: files[name] for name in tables}
    if not tables or len(inner) < len(tables):
        return Search()
    rest = {name: file for name, file in files.items() if name not in tables}
    return search(rest | inner, reader)


def _chosen(usable: Mapping[str, Manifest]) -> list[Manifest]:
    """Return the one to use of several manifests, or those of different splits, or none if it cannot be told."""
    serious = {name: manifest for name, manifest in usable.items() if "submission" not in name.lower()} or usable
    if len(serious) == 1:
        return list(serious.values())
    splits = {name: split for name in serious if (split := _split_of(name))}
    if len(splits) > 1 and len(set(splits.values())) == len(splits):
        return [replace(serious[name], split=split) for name, split in splits.items()]
    preferred = [name for name in serious if _stem(name) in _NAMES]
    return [serious[preferred[0]]] if preferred else []


def _stray(name: str, manifest: Manifest, images: int) -> str | None:
    """Return why a table with the columns of a manifest is none, or None."""
    matched = [files[0] for files in manifest.matches if files]
    labels = [row.label for row in manifest.rows]
    if len(set(labels)) == len(labels) > 1 and images > 2 * len(labels):
        return f"{shown(name)} lists each class once and no images"
    if matched and (2 * len(matched) >= len(manifest.rows) or 2 * len(set(matched)) >= images):
        return None
    return f"the rows of {shown(name)} name other files than those of the archive"


def _preference(name: str) -> tuple[bool, str]:
    return _stem(name) not in _NAMES, name


def _stem(name: str) -> str:
    return name.rpartition(".")[0].lower()


def _split_of(name: str) -> Split | None:
    """Return the split that the name of a table says: train.csv, test_labels.csv, labels_val.csv."""
    stem = _stem(name)
    parts = [part for part in stem.replace("-", "_").split("_") if part not in _WORDS]
    return split_named(stem) or split_named("_".join(parts))
