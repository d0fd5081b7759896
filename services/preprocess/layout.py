"""The class and split of every image, from the layout of the archive."""

from collections.abc import Mapping

from contract.errors import BadDataset
from contract.kinds.preprocess import LayoutSpec
from media.archives.limits import Limits
from media.archives.rejections import Rejections, shown
from services.preprocess import folders
from services.preprocess.columns import ColumnNames
from services.preprocess.copies import without_strays
from services.preprocess.folders import SplitFolder
from services.preprocess.image_files import ImageFiles
from services.preprocess.layout_checks import (
    check_classes,
    check_columns,
    check_group,
    first_paths,
    warn_of_parts,
    wrapper_of,
)
from services.preprocess.manifest_search import Search, search, search_other_folders, search_split_folders
from services.preprocess.manifests import Read, Reader
from services.preprocess.placement import Root, by_folder, by_manifest
from services.preprocess.tables import is_table
from services.preprocess.tree import Subset, Tree
from services.preprocess.warnings import Warnings, plural

_SHOWN_HINTS = 3
_NOT_USED = (
    "Ignore this if the folders or another manifest name the classes; otherwise call it manifest.csv, with the columns "
    "path and label"
)
_AUTO = LayoutSpec()


def arrange(
    files: tuple[str, ...],
    read: Read,
    limits: Limits,
    rejections: Rejections,
    layout: LayoutSpec = _AUTO,
    group_by: str | int | None = None,
    warnings: Warnings | None = None,
) -> ImageFiles:
    """Return the files to decode, from an archive's clean names. Raise BadDataset if they do not form a dataset.

    With a manifest only its rows count. Otherwise a folder names the class: the first one, however deep a file lies
    in it, or that of `layout.class_level`. If the top folders name splits (see `folders.split_folders`), the levels
    count from the next one. Folders around everything are skipped. Every file that is not returned is rejected, except
    the manifest. `group_by` is that of the spec of splits.
    """
    warnings = Warnings() if warnings is None else warnings
    columns = ColumnNames(layout.path_column, layout.label_column, group_by if isinstance(group_by, str) else None)
    reader = Reader(read, limits.members, layout.encoding, columns)
    try:
        root = _root(files, reader, layout)
        check_columns(root, layout)
        check_group(root, group_by)
    except BadDataset as error:
        raise BadDataset(f"{error.message}{first_paths(files)}") from error
    _reject_outside(root, files, rejections, warnings)
    level = group_by if isinstance(group_by, int) else None
    images = ImageFiles(by_manifest(root, level, rejections, warnings))
    images.extend(by_folder(root, layout.class_level, level, rejections, warnings))
    classes = images.labels
    check_classes(classes, root, layout, rejections, files)
    warn_of_parts(classes, root, warnings)
    return images


def _root(files: tuple[str, ...], reader: Reader, layout: LayoutSpec) -> Root:
    """Skip the folders around the dataset, down to the first manifest or the folders of splits or classes."""
    inner: Mapping[str, str] = Subset(files)
    tables = Search()
    for _ in range(folders.MOST_WRAPPERS):
        tables.add(search(inner, reader))
        if tables.manifests:
            return _rooted(inner, tables)
        tree = Tree(inner)
        if splits := folders.split_folders(tree):
            tables.add(search_split_folders(inner, splits, reader))
            return _rooted(inner, tables, splits)
        deeper = folders.unwrapped(tree) or without_strays(tree, wrapper_of(inner).rpartition("/")[2])
        if deeper is None or not _reaches(deeper, layout):
            break
        inner = deeper
    elsewhere = search_other_folders(inner, reader)
    tables.hints += elsewhere.hints
    if elsewhere.manifests:
        tables.add(elsewhere)
    return _rooted(inner, tables)


def _rooted(files: Mapping[str, str], tables: Search, splits: dict[str, SplitFolder] | None = None) -> Root:
    hints = () if tables.manifests else tuple(dict.fromkeys(tables.hints))
    return Root(files, tables.strays, tuple(tables.manifests), splits or {}, hints)


def _reaches(files: Mapping[str, str], layout: LayoutSpec) -> bool:
    """Return whether folders are as deep as the class level that was asked for, if it was, or a table is there."""
    level = layout.class_level
    if not isinstance(level, int) or level == 1:
        return True
    return any(name.count("/") >= level or ("/" not in name and is_table(name)) for name in files)


def _reject_outside(root: Root, files: tuple[str, ...], rejections: Rejections, warnings: Warnings) -> None:
    inside = set(root.files.values()) if len(root.files) < len(files) else ()
    reason = folders.OUTSIDE if root.splits else folders.NOT_IN_CLASSES
    for name in files if inside else ():
        if name not in inside and name not in root.strays:
            rejections.add(name, reason if "/" in name else folders.NO_CLASS)
            warnings.ignore(name)
    for name, reason in root.strays.items():
        rejections.add(name, reason)
    warnings.add(
        "ignored_tables",
        f"{plural(len(root.strays), 'table is not a manifest', 'tables are not manifests')} of the images and not used",
        (f"{shown(name)}: {reason.partition(' (for path')[0]}" for name, reason in sorted(root.strays.items())),
        "; ".join((_NOT_USED, *root.hints[:_SHOWN_HINTS])) + ".",
        len(root.strays),
    )
