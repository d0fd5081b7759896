"""Gives each file of a dataset its class, split and group: by a manifest or by the folders it lies in."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from contract.datasets import Split
from contract.errors import BadDataset
from contract.labels import label_fault, normalised_label
from media.archives.names import is_document
from media.archives.rejections import Rejections, shown
from services.preprocess import folders
from services.preprocess.columns import Row
from services.preprocess.folders import SplitFolder
from services.preprocess.image_files import ImageFile
from services.preprocess.levels import ClassLevel, Key, add_nested, key_at, labels_of
from services.preprocess.manifests import Manifest
from services.preprocess.split_names import is_unlabeled, split_named
from services.preprocess.tree import Tree
from services.preprocess.warnings import Warnings


@dataclass(frozen=True)
class Root:
    """The folder in which the dataset lies.

    `files` maps names in it to names in the archive; `strays` are tables that are not manifests, with the reason, and
    `hints` say how they could be one.
    """

    files: Mapping[str, str]
    strays: dict[str, str]
    manifests: tuple[Manifest, ...] = ()
    splits: dict[str, SplitFolder] = field(default_factory=dict)
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """What the files in a folder have in common; `folders` are those from the first class level on."""

    key: Key
    folders: Key
    split: Split | None
    group: str | None


def by_folder(
    root: Root, level: ClassLevel, group_level: int | None, rejections: Rejections, warnings: Warnings
) -> Iterator[ImageFile]:
    """Yield the images that no manifest covers; reject the others, which may happen before the first is yielded."""
    covered = {file for manifest in root.manifests for file in manifest.paths.files} | root.strays.keys()
    files: list[str] = []
    numbers, known = array("i"), dict[int, tuple[int, _Place]]()  # of places, by their identity
    places: dict[str, _Place | str] = {}  # judged once for each folder, not for each file
    counts: Counter[str] = Counter()
    for name, file in root.files.items():
        if file in covered:
            continue
        folder = name.rpartition("/")[0]
        place = places.get(folder)
        if place is None:
            place = places[folder] = _place(folder.split("/") if folder else [], root.splits, level, group_level)
        if isinstance(place, str):
            rejections.add(file, place)
            warnings.ignore(file)
        elif is_document(file):
            rejections.add(file, "not an image")
        else:
            counts[folder] += 1
            numbers.append(known.setdefault(id(place), (len(known), place))[0])
            files.append(file)
    used = {folder: place for folder, place in places.items() if isinstance(place, _Place) and counts[folder]}
    _check_group_level(used, group_level)
    by_folders: Counter[Key] = Counter()
    for folder, place in used.items():
        by_folders[place.folders] += counts[folder]
    add_nested(by_folders, level, warnings)
    labels = labels_of(place.key for place in used.values())
    labelled = [(labels[place.key], place) for _, place in known.values()]
    faults = {label: label_fault(label) for label in labels.values()}
    for file, number in zip(files, numbers, strict=True):
        label, place = labelled[number]
        if reason := faults[label]:
            rejections.add(file, reason)
        else:
            yield ImageFile(file, label, place.split, place.group)


def _place(
    parts: list[str], splits: Mapping[str, SplitFolder], level: ClassLevel, group_level: int | None
) -> _Place | str:
    """Return what the files in a folder have in common, or why they are rejected."""
    top = splits.get(parts[0]) if parts else None
    depth = top.depth if top else 0
    if splits and parts and not top:
        return folders.OUTSIDE
    below = parts[depth:]
    if not below:
        return folders.NO_CLASS
    if top and len(below) > 1 and below[0].lower() == parts[0].lower():
        return "in a copy of its split folder"
    if any(map(is_unlabeled, below)):
        return "in a folder of images without a class; rename it if it is one"
    key = key_at(below, level)
    if key is None:
        return f"has no folder at level {level}, which names the class"
    return _Place(key, tuple(map(normalised_label, below)), top.split if top else None, _group(below, group_level))


def _group(below: list[str], level: int | None) -> str | None:
    return normalised_label(below[level - 1]) if level is not None and level <= len(below) else None


def _check_group_level(places: Mapping[str, _Place], level: int | None) -> None:
    """Raise BadDataset if no folder is as deep as the level to group by."""
    if places and level is not None and all(place.group is None for place in places.values()):
        deepest = max(len(place.folders) for place in places.values())
        raise BadDataset(
            f"split.group_by is the folder level {level}, but the folders with images are at most {deepest} "
            "deep; give a lower number, or the name of a column of a manifest"
        )


def by_manifest(root: Root, group_level: int | None, rejections: Rejections, warnings: Warnings) -> list[ImageFile]:
    """Return the images that manifests list; reject other rows, and files that the manifests cover but do not list."""
    listed = {manifest.name for manifest in root.manifests} | root.strays.keys()
    images: list[ImageFile] = []
    for manifest in root.manifests:
        if manifest.encoding:
            warnings.add_encoding(manifest.encoding, [manifest.name])
        for row, files in zip(manifest.rows, manifest.matches, strict=True):
            label = normalised_label(row.label)
            if reason := _row_fault(row, files, label, listed):
                rejections.add(files[0] if len(files) == 1 else row.path, reason)
            else:
                split = split_named(row.split) or manifest.split
                images.append(ImageFile(files[0], label, split, row.group or None))
            listed.update(files if len(files) == 1 else ())
    for file in dict.fromkeys(file for manifest in root.manifests for file in manifest.paths.files):
        if file not in listed:
            rejections.add(file, "not in the manifest")
    return _with_folders(root, images, group_level)


def _row_fault(row: Row, files: list[str], label: str, listed: set[str]) -> str | None:
    if not files:
        return "in the manifest, but not in the archive"
    if len(files) > 1:
        return "in the manifest, but several files of the archive have this name"
    if files[0] in listed:
        return "in the manifest more than once"
    if row.split and not split_named(row.split):
        return f"{shown(row.split)!r} is not a split; write train, val or test"
    return row.fault or label_fault(label)


def _with_folders(root: Root, images: list[ImageFile], group_level: int | None) -> list[ImageFile]:
    """Return the images of manifests with what only their folders say: the group, and the split if there are several.

    A manifest beside `train/` and `test/` that lists images of both means these splits. One that lists images of
    `train/` only, as in many contests, leaves it open how they are divided.
    """
    if not images or (group_level is None and any(image.split for image in images)):
        return images
    try:
        splits = root.splits or folders.split_folders(Tree(root.files))
    except BadDataset:
        splits = {}
    names = {file: name for name, file in root.files.items()}
    tops = {image.name: splits.get(names[image.name].partition("/")[0]) for image in images}
    several = len({top.split for top in tops.values() if top}) > 1 and not any(image.split for image in images)
    result = []
    for image in images:
        top = tops[image.name]
        below = names[image.name].split("/")[top.depth if top else 0 : -1]
        split = top.split if several and top else image.split
        result.append(image._replace(split=split, group=image.group or _group(below, group_level)))
    if group_level is not None and all(image.group is None for image in result):
        raise BadDataset(f"split.group_by is the folder level {group_level}, but no image lies so deep")
    return result
