"""The class and split of every image, from the layout of the archive."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from contract.datasets import Split
from contract.errors import BadDataset, BadImage
from media.archives import names
from media.archives.limits import Limits
from media.archives.rejections import Rejections, shown
from services.preprocess import csv_manifest

SPLITS = {
    "train": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.TEST,
}
MOST_CLASSES = 1000
MAX_LABEL_LENGTH = 128
_NO_CLASS = "has no class folder"
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


def arrange(files: tuple[str, ...], read: Read, limits: Limits, rejections: Rejections) -> tuple[ImageFile, ...]:
    """Return the files to decode, from an archive's clean names. Raise BadDataset if they do not form a dataset.

    With a CSV manifest, only the files that it lists are used. Otherwise the first folder names the class, however deep
    a file lies in it. If every top folder is called train, val, valid, validation or test, it names the split, and the
    next folder names the class. A single folder around everything is skipped.
    """
    inner = _unwrapped(files, rejections)
    table = csv_manifest.find(inner)
    if table is None:
        images = tuple(_by_folder(inner, rejections))
    else:
        images = tuple(_by_manifest(table, inner, read, limits, rejections))
    classes = {image.label for image in images}
    if not images:
        raise BadDataset(f"the archive has no image with a class{rejections.summary()}")
    if len(classes) < 2:
        only = shown(next(iter(classes)))
        raise BadDataset(f"a dataset needs at least two classes, and this has only {only!r}{rejections.summary()}")
    if len(classes) > MOST_CLASSES:
        raise BadDataset(f"the archive has {len(classes)} classes; the limit is {MOST_CLASSES}")
    return images


def _unwrapped(files: tuple[str, ...], rejections: Rejections) -> dict[str, str]:
    """Return the files by their names relative to the wrapping folder, if there is one."""
    top = {name.split("/")[0] for name in files if "/" in name}
    wrapper = f"{next(iter(top))}/" if len(top) == 1 and csv_manifest.find(files) is None else ""
    inside = [name.removeprefix(wrapper) for name in files if name.startswith(wrapper)]
    is_class = not any("/" in name for name in inside) and csv_manifest.find(inside) is None
    if not wrapper or is_class or wrapper.rstrip("/").lower() in SPLITS:
        return {name: name for name in files}
    for name in files:
        if not name.startswith(wrapper):
            rejections.add(name, _NO_CLASS)
    return {name: wrapper + name for name in inside}


def _by_folder(inner: Mapping[str, str], rejections: Rejections) -> Iterator[ImageFile]:
    top = {name.split("/")[0].lower() for name in inner if "/" in name}
    depth = 1 if top and top <= SPLITS.keys() else 0
    for name, file in inner.items():
        folders = name.split("/")[:-1]
        if len(folders) <= depth:
            rejections.add(file, _NO_CLASS)
            continue
        label = normalised_label(folders[depth])
        if reason := label_fault(label):
            rejections.add(file, reason)
        else:
            yield ImageFile(file, label, SPLITS[folders[0].lower()] if depth else None)


def _by_manifest(
    table: str, inner: Mapping[str, str], read: Read, limits: Limits, rejections: Rejections
) -> Iterator[ImageFile]:
    try:
        data = read(inner[table])
    except BadImage as error:
        raise BadDataset(f"{shown(table)} cannot be read: {error.message}") from error
    listed = {table}
    for row in csv_manifest.rows(table, data, limits.members):
        name = names.clean(row.path)
        label = normalised_label(row.label)
        if reason := _row_fault(row, name, label, inner, listed):
            rejections.add(row.path, reason)
        else:
            yield ImageFile(inner[name], label, SPLITS.get(row.split.lower()))
        listed.add(name)
    for name, file in inner.items():
        if name not in listed:
            rejections.add(file, "not in the manifest")


def _row_fault(row: csv_manifest.Row, name: str, label: str, inner: Mapping[str, str], listed: set[str]) -> str | None:
    if name not in inner:
        return "in the manifest, but not in the archive"
    if name in listed:
        return "in the manifest more than once"
    if row.split and row.split.lower() not in SPLITS:
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
