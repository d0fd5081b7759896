"""The class and split of every image, from the layout of the archive."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.limits import Limits
from media.archives.rejections import Rejections, shown
from services.preprocess import folders
from services.preprocess.csv_manifest import Row
from services.preprocess.folders import SplitFolder
from services.preprocess.manifest_search import Manifest, search

MOST_CLASSES = 1000
MAX_LABEL_LENGTH = 128
_SHOWN_PATHS = 10
_NO_CLASS = "has no class folder"
_OUTSIDE = "not in a split folder"
# Control, format, private use and surrogate characters, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # used in emoji and Persian


@dataclass(frozen=True)
class ImageFile:
    """A file that may be an image, with its class, and its split if the archive gives one."""

    name: str
    label: str
    split: Split | None


Read = Callable[[str], bytes]


@dataclass(frozen=True)
class _Root:
    """The folder in which the dataset lies.

    `files` maps names in it to names in the archive; `strays` are CSV files that are no manifest, with the reason.
    """

    files: dict[str, str]
    manifest: Manifest | None
    strays: dict[str, str]


def arrange(files: tuple[str, ...], read: Read, limits: Limits, rejections: Rejections) -> tuple[ImageFile, ...]:
    """Return the files to decode, from an archive's clean names. Raise BadDataset if they do not form a dataset.

    With a CSV manifest only its rows count. Otherwise the first folder names the class, however deep a file lies
    in it. If the top folders name splits (see `folders.split_folders`), the next folder names the class. Up to two
    folders around everything are skipped. Every file that is not returned is rejected, except the manifest.
    """
    root = _root(files, read, limits)
    inside = set(root.files.values())
    for name in files:
        if name not in inside and name not in root.strays:
            rejections.add(name, _OUTSIDE if "/" in name else _NO_CLASS)
    for name, reason in root.strays.items():
        rejections.add(name, reason)
    images = tuple(_by_manifest(root, root.manifest, rejections) if root.manifest else _by_folder(root, rejections))
    _check_classes(images, rejections.summary() + _assumed(root, files))
    return images


def _check_classes(images: tuple[ImageFile, ...], details: str) -> None:
    """Raise BadDataset, with the details, if there are too few or too many classes."""
    classes = {image.label for image in images}
    if not images:
        raise BadDataset(f"the archive has no image with a class{details}")
    if len(classes) < 2:
        only = shown(next(iter(classes)))
        raise BadDataset(f"a dataset needs at least two classes, and this has only {only!r}{details}")
    if len(classes) > MOST_CLASSES:
        raise BadDataset(f"the archive has {len(classes)} classes; the limit is {MOST_CLASSES}")


def _root(files: tuple[str, ...], read: Read, limits: Limits) -> _Root:
    """Skip the folders around the dataset, down to the first manifest."""
    inner = {name: name for name in files}
    strays: dict[str, str] = {}
    for wrappers in range(folders.MOST_WRAPPERS + 1):
        manifest, others = search(inner, read, limits.members)
        strays |= others
        if manifest:
            return _Root(inner, manifest, strays)
        deeper = folders.unwrapped(inner) if wrappers < folders.MOST_WRAPPERS else None
        if deeper is None:
            break
        inner = deeper
    return _Root(inner, None, strays)


def _assumed(root: _Root, files: tuple[str, ...]) -> str:
    """Return the layout that was assumed and the first paths, as the end of an error message."""
    if not files:
        return ""
    if root.manifest:
        layout = f"with the manifest {shown(root.manifest.name)}"
    elif splits := folders.split_folders(root.files):
        layout = (
            f"as splits named by {', '.join(map(shown, sorted(splits)[:_SHOWN_PATHS]))}, with class folders in them"
        )
    else:
        layout = "as class folders"
    name, file = next(iter(root.files.items()), ("", ""))
    wrapper = file.removesuffix(name).rstrip("/")
    within = f" in {shown(wrapper)!r}" if wrapper else ""
    stray = f" ({next(iter(root.strays.values()))})" if root.strays else ""
    return (
        f"; read {layout}{within}{stray}; the first paths are {', '.join(repr(shown(f)) for f in files[:_SHOWN_PATHS])}"
    )


def _by_folder(root: _Root, rejections: Rejections) -> Iterator[ImageFile]:
    splits = folders.split_folders(root.files)
    places: dict[str, tuple[str, Split | None] | str] = {}  # judged once for each folder, not for each file
    for name, file in root.files.items():
        if file in root.strays:
            continue
        folder = name.rpartition("/")[0]
        place = places.get(folder)
        if place is None:
            place = places[folder] = _place(folder.split("/") if folder else [], splits)
        if isinstance(place, str):
            rejections.add(file, place)
        else:
            yield ImageFile(file, *place)


def _place(parts: list[str], splits: Mapping[str, SplitFolder]) -> tuple[str, Split | None] | str:
    """Return the label and split of the files in a folder, or why they are rejected."""
    top = splits.get(parts[0]) if parts else None
    depth = top.depth if top else 0
    if splits and parts and not top:
        return _OUTSIDE
    if len(parts) <= depth:
        return _NO_CLASS
    if top and len(parts) > depth + 1 and parts[depth].lower() == parts[0].lower():
        return "in a copy of its split folder"
    label = normalised_label(parts[depth])
    return label_fault(label) or (label, top.split if top else None)


def _by_manifest(root: _Root, manifest: Manifest, rejections: Rejections) -> Iterator[ImageFile]:
    listed = {root.files[manifest.name], *root.strays}
    for row in manifest.rows:
        files = manifest.paths.matches(row.path)
        label = normalised_label(row.label)
        split = folders.split_named(row.split)
        if reason := _row_fault(row, files, label, listed):
            rejections.add(row.path, reason)
        else:
            yield ImageFile(files[0], label, split)
        listed.update(files if len(files) == 1 else ())
    for file in root.files.values():
        if file not in listed:
            rejections.add(file, "not in the manifest")


def _row_fault(row: Row, files: list[str], label: str, listed: set[str]) -> str | None:
    if not files:
        return "in the manifest, but not in the archive"
    if len(files) > 1:
        return "in the manifest, but several files of the archive have this name"
    if files[0] in listed:
        return "in the manifest more than once"
    if row.split and not folders.split_named(row.split):
        return f"{shown(row.split)!r} is not a split; write train, val or test"
    return label_fault(label)


def normalised_label(text: str) -> str:
    """Return the label in Unicode's NFC, stripped of white space, so that equal words are one class."""
    return unicodedata.normalize("NFC", text).strip()


def label_fault(label: str) -> str | None:
    """Return why a normalized label is rejected, or None."""
    if not label:
        return "its class name is empty"
    if len(label) > MAX_LABEL_LENGTH:
        return f"its class name is over {MAX_LABEL_LENGTH} characters"
    if label in (".", ".."):
        return f"{label!r} cannot be a class name"
    if any(unicodedata.category(c) in _UNPRINTABLE and c not in _JOINERS for c in label):
        return "its class name has unprintable characters"
    return None
