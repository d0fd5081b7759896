"""Finds the manifests of an archive among its tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.names import IMAGES
from media.archives.rejections import shown
from services.preprocess.columns import find_columns
from services.preprocess.folders import SplitFolder
from services.preprocess.manifest_paths import Paths
from services.preprocess.manifests import Manifest, Reader
from services.preprocess.split_names import split_mentioned, split_named
from services.preprocess.tables import Table, is_table

MOST_TABLES = 10
_MOST_SHOWN = 5
_NAMES = ("manifest", "labels", "metadata")  # of tables that count before others, without their extension
_WORDS = ("labels", "annotations", "metadata", "classes", "manifest", "list")  # in names such as train_labels.csv


@dataclass
class Search:
    """What was found: manifests, and tables that are not, by their names in the archive, with the reason.

    `hints` say how a table that names images could be used.
    """

    manifests: list[Manifest] = field(default_factory=list)
    strays: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)

    def add(self, other: "Search", split: Split | None = None) -> None:
        """Add what was found elsewhere, with the split of its manifests if it is given."""
        self.manifests += [replace(manifest, split=split) for manifest in other.manifests] if split else other.manifests
        self.strays |= other.strays
        self.hints += other.hints


def search(files: Mapping[str, str], reader: Reader) -> Search:
    """Return the manifests outside of any folder, and why each other table there is not one.

    `files` maps names to names in the archive. A file called manifest.csv must be a manifest. Another table is one if
    it has the columns, and at least half of its rows name files or it names half of the files. Several are used
    together if their names say different splits (train.csv and test.csv). A sample submission counts only without
    another manifest. Raise BadDataset if a file that must be a manifest is not, or one with the columns is unreadable.
    """
    tables = sorted(name for name in files if "/" not in name and is_table(name))
    result = Search()
    if not tables:
        return result
    paths = Paths(files)
    if required := next((name for name in tables if _stem(name) == "manifest"), None):
        result.manifests.append(_required(required, files, paths, reader))
        result.strays = {files[name]: f"{shown(required)} is the manifest" for name in tables if name != required}
        return result
    usable: dict[str, Manifest] = {}
    for name in sorted(tables, key=_preference)[:MOST_TABLES]:
        table: Table | None = None
        try:
            table = reader.table(name, files[name])
            find_columns(table, reader.columns)
        except BadDataset as error:
            result.strays[files[name]] = error.message
            result.hints += reader.hint(table, paths) if table else []
            continue
        manifest = reader.manifest(table, files[name], paths, _preferred(name, files))
        if reason := _stray(name, manifest, len(files) - len(tables)):
            result.strays[files[name]] = reason
        else:
            usable[name] = manifest
    result.manifests = _chosen(usable)
    if len(usable) > 1 and not result.manifests:
        result.hints.append(
            f"{' and '.join(map(shown, sorted(usable)[:_MOST_SHOWN]))} each label the images; name the one to use "
            "manifest.csv, or each by its split, such as train.csv and test.csv"
        )
    chosen = {manifest.name for manifest in result.manifests}
    for name in tables:
        if files[name] not in chosen:
            result.strays.setdefault(files[name], "one of several tables; name the one to use manifest.csv")
    return result


def _required(name: str, files: Mapping[str, str], paths: Paths, reader: Reader) -> Manifest:
    table = reader.table(name, files[name])
    try:
        return reader.manifest(table, files[name], paths, _preferred(name, files))
    except BadDataset as error:
        raise BadDataset("; ".join([error.message, *reader.hint(table, paths)])) from error


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
        result.add(inner, split.split)
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
    if preferred or not _are_parts(list(serious.values())):
        return [serious[name] for name in preferred[:1]]
    return list(serious.values())


def _are_parts(manifests: list[Manifest]) -> bool:
    """Return whether manifests are parts of one table: they have the same columns and name different files."""
    files = [{file for files in manifest.matches for file in files} for manifest in manifests]
    return len({manifest.columns for manifest in manifests}) == 1 and sum(map(len, files)) == len(set().union(*files))


def _preferred(name: str, files: Mapping[str, str]) -> Paths | None:
    """Return the files in the folders of the split that the name of a table says, if there are some."""
    split = _split_of(name)
    tops = {name.partition("/")[0] for name in files if "/" in name} if split else set()
    of_split = {top for top in tops if split_mentioned(top) is split}
    if not of_split or of_split == tops:
        return None
    return Paths({name: file for name, file in files.items() if name.partition("/")[0] in of_split})


def _stray(name: str, manifest: Manifest, images: int) -> str | None:
    """Return why a table with the columns of a manifest is not one, or None if it is."""
    matched = [files[0] for files in manifest.matches if files]
    labels = [row.label for row in manifest.rows]
    with_extension = any(row.path.lower().endswith(IMAGES) for row in manifest.rows)
    if len(set(labels)) == len(labels) > 1 and images > 2 * len(labels) and not with_extension:
        return f"{shown(name)} lists each class once and no images"
    if matched and (2 * len(matched) >= len(manifest.rows) or 2 * len(set(matched)) >= images):
        return None
    return f"the rows of {shown(name)} name other files than those of the archive"


def _preference(name: str) -> tuple[bool, str]:
    return _stem(name) not in _NAMES, name


def _stem(name: str) -> str:
    return _stem_as_written(name).lower()


def _stem_as_written(name: str) -> str:
    return name.rpartition(".")[0]


def _split_of(name: str) -> Split | None:
    """Return the split that the name of a table says: train.csv, test_labels.csv, labels_val.csv."""
    stem = _stem(name)
    parts = [part for part in stem.replace("-", "_").split("_") if part not in _WORDS]
    return split_named(stem) or split_named("_".join(parts)) or split_mentioned(_stem_as_written(name))
