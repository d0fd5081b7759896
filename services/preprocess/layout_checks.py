"""Refuses what does not form a dataset, and says what was seen and how to say it."""

from collections.abc import Mapping

from contract.errors import BadDataset
from contract.kinds.preprocess import LayoutSpec
from media.archives.rejections import Rejections, shown
from services.preprocess import folders
from services.preprocess.placement import Root
from services.preprocess.split_names import is_no_class, is_part, name_beginnings
from services.preprocess.tables import normalised_column
from services.preprocess.tree import Tree
from services.preprocess.warnings import Warnings

MOST_CLASSES = 1000
_SHOWN_PATHS = 10
_SHOWN_HINTS = 3
_HOW_TO_SAY = (
    "; put the images of each class in a folder of its own, or add a manifest.csv with the columns path and label"
)


def check_columns(root: Root, layout: LayoutSpec) -> None:
    """Raise BadDataset if the spec names columns, but there is no manifest that has them."""
    if (column := layout.label_column or layout.path_column) and not root.manifests:
        reasons = "; ".join(reason for _, reason in sorted(root.strays.items()))
        raise BadDataset(
            f"the spec names the column {shown(column)!r}, but no table of the archive that names its images has it"
            f"{': ' * bool(reasons)}{reasons}"
        )


def check_group(root: Root, group_by: str | int | None) -> None:
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


def check_classes(
    classes: set[str], root: Root, layout: LayoutSpec, rejections: Rejections, files: tuple[str, ...]
) -> None:
    """Raise BadDataset if there are too few or too many classes, or their names are those of parts of the images."""
    if (fault := _fault(sorted(classes), root, layout)) is None:
        return
    hints = "".join(f"; {hint}" for hint in root.hints[:_SHOWN_HINTS]) or _name_hint(root, classes)
    how_to_say = _HOW_TO_SAY if not root.hints and (not classes or 1 < len(classes) <= MOST_CLASSES) else ""
    details = (hints if root.hints else rejections.summary() + hints) + _assumed(root, layout) + first_paths(files)
    raise BadDataset(f"{fault}{details}{how_to_say}")


def warn_of_parts(classes: set[str], root: Root, warnings: Warnings) -> None:
    """Warn if all folders that name the classes are named for parts of the images, such as `images_part_1`."""
    if not root.manifests and all(map(is_part, classes)):
        warnings.add(
            "doubtful_class_names",
            "the classes have the names of folders for parts of the images",
            sorted(classes),
            "If these folders are not classes, make one for each class, or add a manifest.csv with the columns path "
            "and label.",
        )


def _fault(classes: list[str], root: Root, layout: LayoutSpec) -> str | None:
    if not classes:
        return "the archive has no image with a class"
    if len(classes) < 2:
        return f"a dataset needs at least two classes, and this has only {shown(classes[0])!r}"
    if len(classes) > MOST_CLASSES:
        return f"the archive has {len(classes)} classes; the limit is {MOST_CLASSES}"
    is_doubtful = is_part if root.hints else is_no_class
    if not root.manifests and layout.class_level == 1 and all(map(is_doubtful, classes)):
        return f"the folders {', '.join(map(shown, classes[:_SHOWN_PATHS]))} do not name classes"
    return None


def _name_hint(root: Root, classes: set[str]) -> str:
    """Return which words the names of images begin with, if no folder or manifest says their class."""
    if root.manifests or len(classes) > 1 or not (beginnings := name_beginnings(root.files)):
        return ""
    shown_ones = ", ".join(repr(shown(beginning)) for beginning in beginnings[:_SHOWN_PATHS])
    return f"; the names of the images begin with {shown_ones}, which may be the classes: make a folder for each"


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
    wrapper = wrapper_of(root.files)
    within = f" in {shown(wrapper)!r}" if wrapper else ""
    stray = f" ({next(iter(root.strays.values()))})" if root.strays and not root.hints else ""
    return f"; read {text}{within}{stray}{advice}"


def wrapper_of(files: Mapping[str, str]) -> str:
    """Return the folder around files, which are named relative to it."""
    name, file = next(iter(files.items()), ("", ""))
    return file.removesuffix(name).rstrip("/")


def first_paths(files: tuple[str, ...]) -> str:
    paths = ", ".join(repr(shown(file)) for file in files[:_SHOWN_PATHS])
    return f"; the first paths are {paths}" if files else ""
