"""Which folders of an archive wrap the dataset, name splits or name classes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.names import is_document
from media.archives.rejections import shown
from services.preprocess.tables import is_table

MOST_WRAPPERS = 16
NO_CLASS = "has no class folder"
OUTSIDE = "not in a split folder"
_NAME = re.compile(
    r"(?:(?P<prefix>.+)[ _-])?"
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?|eval(?:uation)?))"
    r"(?:[ _-]?(?:set|data|images?))?(?:[ _-]?(?:19|20)\d\d)?",
    re.IGNORECASE,
)
_UNLABELED = re.compile(r"(?:un|not[ _-]?)label(?:l?ed)(?:[ _-].*)?|unsup(?:ervised)?", re.IGNORECASE)
_NUMBER = re.compile(r"[ _-]?\d\d?$")
_SUFFIXES = ("set", "data", "image", "images")
_PLAIN = (None, "seg")  # prefixes of names that are splits whatever stands beside them


@dataclass(frozen=True)
class SplitFolder:
    """A top folder that names a split; `depth` counts the folders above its class folders."""

    split: Split
    depth: int


class Tree:
    """The folders of files, by their names; `files` maps these to names in the archive."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    @cached_property
    def paths(self) -> list[list[str]]:
        """Each folder that has files that may be images, once, as the names on its path."""
        folders: dict[str, None] = {}
        for name in self.files:
            folder = name.rpartition("/")[0]
            if folder not in folders and not is_document(name):
                folders[folder] = None
        return [folder.split("/") for folder in folders if folder]

    @cached_property
    def inside(self) -> dict[str, set[str]]:
        """The names of the folders directly in each top folder that is not one of unlabeled images."""
        inside: dict[str, set[str]] = defaultdict(set)
        for path in self.paths:
            if not is_unlabeled(path[0]):
                inside[path[0]].update(path[1:2])
        return dict(inside)


def split_named(name: str) -> Split | None:
    """Return the split that a usual name means, in any case: `train`, `Validation`, `seg_test`, `test_set`."""
    prefix, split = _parsed(name)
    return split if prefix in _PLAIN else None


def is_unlabeled(folder: str) -> bool:
    """Return whether a folder is named for images without a class, such as `unlabeled`; it is never a class."""
    return bool(_UNLABELED.fullmatch(folder.strip()))


def split_folders(tree: Tree) -> dict[str, SplitFolder]:
    """Return the top folders that name splits, or nothing if the top folders are classes.

    They name splits if all of them have the name of a split, or if there is a training folder with folders in it
    and a validation or test folder, whatever else is there. A single folder called `test_images` or the like wraps
    the dataset; only a plain name such as `train` is a split then. Raise BadDataset if it cannot be told.
    """
    inside = {folder: set(names) for folder, names in tree.inside.items()}
    if len(inside) > 1 and not all(inside.values()):
        for name in tree.files:
            if is_table(name) and name.count("/") == 1 and (folder := name.partition("/")[0]) in inside:
                inside[folder].add(name)  # a manifest in a split folder, in place of class folders
    splits = {folder: split for folder in inside if (split := split_named(folder))} or _with_one_prefix(inside)
    if Split.TRAIN in splits.values():
        splits |= _numbered(inside.keys() - splits.keys())
    if len(splits) < len(inside) and not _are_splits(splits, inside):
        _check_training_is_a_class(splits, inside)
        return {}
    if len(inside) == 1 and not all(name.isalpha() and not name.lower().endswith(_SUFFIXES) for name in inside):
        return {}
    below: dict[str, list[list[str]]] = defaultdict(list)
    for path in tree.paths:
        below[path[0]].append(path)
    return {folder: SplitFolder(split, _depth(folder, below[folder])) for folder, split in splits.items()}


def unwrapped(tree: Tree) -> dict[str, str] | None:
    """Return the files of the folder that wraps the dataset, by their names in it, or None if no folder does.

    The top folders are no splits. A wrapper is the only top folder, or the only one that has split folders in it.
    Raise BadDataset if several have.
    """
    inside = tree.inside
    if len(inside) == 1:
        wrapper = next(iter(inside))
        inner = _within(wrapper, tree.files)
        return inner if inside[wrapper] or any(is_table(name) and "/" not in name for name in inner) else None
    holders = _holding_splits(tree.paths, inside)
    if len(holders) > 1:
        raise BadDataset(
            f"{shown(holders[0])!r} and {shown(holders[1])!r} each have folders for training and testing; send only one"
        )
    return _within(holders[0], tree.files) if holders else None


def better_level(tree: Tree, splits: Mapping[str, SplitFolder], level: int | str) -> int | None:
    """Return the first other level that has several folders, if any, counted below the split folders."""
    by_level: dict[int, set[str]] = defaultdict(set)
    for path in tree.paths:
        depth = splits[path[0]].depth if path[0] in splits else 0
        for number, folder in enumerate(path[depth:], start=1):
            by_level[number].add(folder)
    return next((number for number in sorted(by_level) if number != level and len(by_level[number]) > 1), None)


def _parsed(name: str) -> tuple[str | None, Split | None]:
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None, None
    prefix = match["prefix"] if not (match["prefix"] or "").isdigit() else None  # 1_train, 2_test
    split = Split.TRAIN if match["train"] else Split.VAL if match["val"] else Split.TEST
    return prefix and prefix.lower(), split


def _numbered(folders: Iterable[str]) -> dict[str, Split]:
    """Return held-out folders with a number, such as `test1` beside `train`."""
    named = {folder: split_named(_NUMBER.sub("", folder)) for folder in sorted(folders) if _NUMBER.search(folder)}
    return {folder: split for folder, split in named.items() if split in (Split.VAL, Split.TEST)}


def _with_one_prefix(folders: Iterable[str]) -> dict[str, Split]:
    """Return folders such as `flowers_train` and `flowers_test`, if one prefix has a training and another split."""
    by_prefix: dict[str | None, dict[str, Split]] = defaultdict(dict)
    for folder in folders:
        prefix, split = _parsed(folder)
        if split:
            by_prefix[prefix][folder] = split
    several = [
        splits for splits in by_prefix.values() if Split.TRAIN in splits.values() and len(set(splits.values())) > 1
    ]
    return several[0] if len(several) == 1 else {}


def _within(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    start = f"{folder}/"
    return {name.removeprefix(start): file for name, file in files.items() if name.startswith(start)}


def _are_splits(splits: Mapping[str, Split], inside: Mapping[str, set[str]]) -> bool:
    with_classes = any(inside[folder] for folder, split in splits.items() if split is Split.TRAIN)
    return with_classes and len(set(splits.values())) > 1


def _holding_splits(paths: Iterable[list[str]], inside: Mapping[str, set[str]]) -> list[str]:
    """Return the top folders that have a training folder with folders in it and another split folder in them."""
    deep = {tuple(folders[:2]) for folders in paths if len(folders) > 2}
    holders = []
    for top, names in inside.items():
        splits = {name: split for name in names if (split := split_named(name))}
        if _are_splits(splits, {name: {name} if (top, name) in deep else set() for name in splits}):
            holders.append(top)
    return holders


def _check_training_is_a_class(splits: Mapping[str, Split], inside: Mapping[str, set[str]]) -> None:
    """Raise BadDataset for a training folder that is doubtful as a class.

    That is one beside a validation or test folder, or one with several folders in it, none of which the others have.
    """
    others = sorted(folder for folder in inside if folder not in splits)
    beside = set().union(*(inside[folder] for folder in others))
    for training in (folder for folder, split in splits.items() if split is Split.TRAIN):
        if len(set(splits.values())) > 1 or (len(inside[training]) > 1 and not inside[training] & beside):
            raise BadDataset(
                f"{shown(training)!r} beside {shown(others[0])!r} may be a split or a class; if it is a split, put "
                "class folders in it and remove the folders that are no split; if it is a class, rename it"
            )


def _depth(top: str, paths: Iterable[list[str]]) -> int:
    """Return how often the name of a split folder is repeated, as in `seg_train/seg_train/cat`."""
    depth = 1
    while True:
        names = {path[depth] for path in paths if len(path) > depth}
        if len(names) != 1 or next(iter(names)).lower() != top.lower():
            return depth
        depth += 1
