"""The class and split of every image, from the layout of the archive."""

from contract.errors import BadDataset
from contract.kinds.preprocess import LayoutSpec
from media.archives.limits import Limits
from media.archives.rejections import Rejections, shown
from services.preprocess import folders
from services.preprocess.columns import ColumnNames
from services.preprocess.copies import without_strays
from services.preprocess.folders import SplitFolder
from services.preprocess.manifest_search import Search, search, search_other_folders, search_split_folders
from services.preprocess.manifests import Read, Reader
from services.preprocess.placement import ImageFile, Root, by_folder, by_manifest
from services.preprocess.split_names import is_part
from services.preprocess.tables import is_table, normalised_column
from services.preprocess.tree import Tree
from services.preprocess.warnings import Warnings, plural

MOST_CLASSES = 1000
_SHOWN_PATHS = 10
_SHOWN_HINTS = 3
_HOW_TO_SAY = (
    "; put the images of each class in a folder of its own, or add a manifest.csv with the columns path and label"
)
_NOT_USED = (
    "Nothing, if the folders or another manifest name the classes; otherwise call it manifest.csv, with the columns "
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
) -> tuple[ImageFile, ...]:
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
        _check_columns(root, layout)
        _check_group(root, group_by)
    except BadDataset as error:
        raise BadDataset(f"{error.message}{_first_paths(files)}") from error
    _reject_outside(root, files, rejections, warnings)
    level = group_by if isinstance(group_by, int) else None
    images = by_manifest(root, level, rejections, warnings)
    images += by_folder(root, layout.class_level, level, rejections, warnings)
    _check_hints(images, root, layout, files)
    _check_classes(images, rejections.summary() + _assumed(root, layout) + _first_paths(files))
    return tuple(images)


def _root(files: tuple[str, ...], reader: Reader, layout: LayoutSpec) -> Root:
    """Skip the folders around the dataset, down to the first manifest or the folders of splits or classes."""
    inner = {name: name for name in files}
    tables = Search()
    for _ in range(folders.MOST_WRAPPERS):
        tables.add(search(inner, reader))
        if tables.manifests:
            return _rooted(inner, tables)
        tree = Tree(inner)
        if splits := folders.split_folders(tree):
            tables.add(search_split_folders(inner, splits, reader))
            return _rooted(inner, tables, splits)
        deeper = folders.unwrapped(tree) or without_strays(tree, _wrapper(inner).rpartition("/")[2])
        if deeper is None or not _reaches(deeper, layout):
            break
        inner = deeper
    elsewhere = search_other_folders(inner, reader)
    tables.hints += elsewhere.hints
    if elsewhere.manifests:
        tables.add(elsewhere)
    return _rooted(inner, tables)


def _rooted(files: dict[str, str], tables: Search, splits: dict[str, SplitFolder] | None = None) -> Root:
    hints = () if tables.manifests else tuple(dict.fromkeys(tables.hints))
    return Root(files, tables.strays, tuple(tables.manifests), splits or {}, hints)


def _reaches(files: dict[str, str], layout: LayoutSpec) -> bool:
    """Return whether folders are as deep as the class level that was asked for, if it was, or a table is there."""
    level = layout.class_level
    if not isinstance(level, int) or level == 1:
        return True
    return any(name.count("/") >= level or ("/" not in name and is_table(name)) for name in files)


def _check_columns(root: Root, layout: LayoutSpec) -> None:
    """Raise BadDataset if the spec names columns, but there is no manifest that has them."""
    if (column := layout.label_column or layout.path_column) and not root.manifests:
        reasons = "; ".join(reason for _, reason in sorted(root.strays.items()))
        raise BadDataset(
            f"the spec names the column {shown(column)!r}, but no table of the archive that names its images has it"
            f"{': ' * bool(reasons)}{reasons}"
        )


def _check_hints(images: list[ImageFile], root: Root, layout: LayoutSpec, files: tuple[str, ...]) -> None:
    """Raise BadDataset if folders do not name classes, but a table that is no manifest may."""
    classes = {image.label for image in images}
    if root.hints and (len(classes) < 2 or (layout.class_level == 1 and all(map(is_part, classes)))):
        names = ", ".join(map(shown, sorted(classes)[:_SHOWN_PATHS]))
        folder = f"the folders {names} do not name classes; " if len(classes) > 1 else ""
        raise BadDataset(f"{folder}{'; '.join(root.hints[:_SHOWN_HINTS])}{_first_paths(files)}")


def _check_group(root: Root, group_by: str | int | None) -> None:
    """Raise BadDataset if a column to group by does not exist."""
    if not isinstance(group_by, str):
        return
    if not root.manifests:
        raise BadDataset(
            f"split.group_by names the column {shown(group_by)!r}, but the archive has no manifest; add one, or give "
            "the number of the folder level that groups the images"
        )
    for manifest in root.manifests:
        if normalised_column(group_by) not in manifest.columns:
            raise BadDataset(
                f"{shown(manifest.name)} has no column {shown(group_by)!r} to group by; its columns are "
                f"{', '.join(map(shown, manifest.columns[:_SHOWN_PATHS]))}"
            )


def _reject_outside(root: Root, files: tuple[str, ...], rejections: Rejections, warnings: Warnings) -> None:
    inside = set(root.files.values())
    reason = folders.OUTSIDE if root.splits else folders.NOT_IN_CLASSES
    for name in files:
        if name not in inside and name not in root.strays:
            rejections.add(name, reason if "/" in name else folders.NO_CLASS)
            warnings.ignore(name)
    for name, reason in root.strays.items():
        rejections.add(name, reason)
    warnings.add(
        "ignored_tables",
        f"{plural(len(root.strays), 'table is', 'tables are')} no manifest of the images and not used",
        (f"{shown(name)}: {reason.partition(' (for path')[0]}" for name, reason in sorted(root.strays.items())),
        "; ".join((_NOT_USED, *root.hints[:_SHOWN_HINTS])) + ".",
        len(root.strays),
    )


def _check_classes(images: list[ImageFile], details: str) -> None:
    """Raise BadDataset, with the details, if there are too few or too many classes."""
    classes = {image.label for image in images}
    if not images:
        raise BadDataset(f"the archive has no image with a class{details}{_HOW_TO_SAY}")
    if len(classes) < 2:
        only = shown(next(iter(classes)))
        raise BadDataset(f"a dataset needs at least two classes, and this has only {only!r}{details}")
    if len(classes) > MOST_CLASSES:
        raise BadDataset(f"the archive has {len(classes)} classes; the limit is {MOST_CLASSES}{details}")


def _assumed(root: Root, layout: LayoutSpec) -> str:
    """Return the layout that was assumed, and how to say another, as a part of an error message."""
    if not root.files:
        return ""
    advice = ""
    if root.manifests:
        names = ", ".join(shown(manifest.name) for manifest in root.manifests)
        text = f"with the {'manifest' if len(root.manifests) == 1 else 'manifests'} {names}"
    else:
        text = "as class folders"
        if root.splits:
            splits = ", ".join(map(shown, sorted(root.splits)[:_SHOWN_PATHS]))
            text = f"as splits named by {splits}, with class folders in them"
        if layout.class_level != 1:
            text += f" at level {layout.class_level}"
        if (level := folders.better_level(Tree(root.files), root.splits, layout.class_level)) is not None:
            advice = f"; if the folders at level {level} name the classes, set layout.class_level to {level}"
    wrapper = _wrapper(root.files)
    within = f" in {shown(wrapper)!r}" if wrapper else ""
    stray = f" ({next(iter(root.strays.values()))})" if root.strays else ""
    return f"; read {text}{within}{stray}{advice}"


def _wrapper(files: dict[str, str]) -> str:
    """Return the folder around files, which are named relative to it."""
    name, file = next(iter(files.items()), ("", ""))
    return file.removesuffix(name).rstrip("/")


def _first_paths(files: tuple[str, ...]) -> str:
    paths = ", ".join(repr(shown(file)) for file in files[:_SHOWN_PATHS])
    return f"; the first paths are {paths}" if files else ""
