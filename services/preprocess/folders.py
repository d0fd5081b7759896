"""Which folders of an archive wrap the dataset, name splits or name classes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.rejections import shown
from services.preprocess.split_names import is_container, parsed, split_mentioned, split_named
from services.preprocess.tables import is_table
from services.preprocess.tree import Tree

MOST_WRAPPERS = 16
NO_CLASS = "has no class folder"
OUTSIDE = "not in a split folder"
NOT_IN_CLASSES = "outside of the folder that holds the classes"
_NUMBER = re.compile(r"[ _-]?\d\d?$")
_SUFFIXES = ("set", "data", "image", "images")


@dataclass(frozen=True)
class SplitFolder:
    """A top folder that names a split; `depth` counts the folders above its class folders."""

    split: Split
    depth: int


def split_folders(tree: Tree) -> dict[str, SplitFolder]:
    """Return the top folders that name splits, or nothing if the top folders are classes.

    They name splits if all of them have the name of a split, or if there is a training folder with folders in it
    and a validation or test folder, whatever else is there. Names that only mention a split (`test_public`, `训练集`)
    count if the folders hold the same class folders. A single folder called `test_images` or the like wraps
    the dataset; only a plain name such as `train` is a split then. Raise BadDataset if that is unclear.
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
        if mentioned := _with_equal_classes(tree):
            splits = mentioned
        else:
            _check_training_is_a_class(splits, inside)
            return {}
    if len(inside) == 1 and not all(name.isalpha() and not name.lower().endswith(_SUFFIXES) for name in inside):
        return {}
    training = {name for folder, split in splits.items() if split is Split.TRAIN for name in inside[folder]}
    return {
        folder: SplitFolder(split, _depth(folder, tree.below[folder], training if split is not Split.TRAIN else None))
        for folder, split in splits.items()
    }


def unwrapped(tree: Tree) -> Mapping[str, str] | None:
    """Return the files of the folder that wraps the dataset, by their names in it, or None if no folder does.

    The top folders are not splits. A wrapper is the only top folder, or the only one that has split folders in it.
    Raise BadDataset if several have.
    """
    inside = tree.inside
    if len(inside) == 1:
        wrapper = next(iter(inside))
        inner = tree.within(wrapper)
        return inner if inside[wrapper] or any(is_table(name) and "/" not in name for name in inner) else None
    holders = _holding_splits(tree)
    if len(holders) > 1:
        raise BadDataset(
            f"{shown(holders[0])!r} and {shown(holders[1])!r} each have folders for training and testing; send only one"
        )
    return tree.within(holders[0]) if holders else None


def better_level(tree: Tree, splits: Mapping[str, SplitFolder], level: int | str) -> int | None:
    """Return the first other level that has several folders, if any, counted below the split folders."""
    by_level: dict[int, set[str]] = defaultdict(set)
    for path in tree.paths:
        depth = splits[path[0]].depth if path[0] in splits else 0
        for number, folder in enumerate(path[depth:], start=1):
            by_level[number].add(folder)
    return next((number for number in sorted(by_level) if number != level and len(by_level[number]) > 1), None)


def _numbered(folders: Iterable[str]) -> dict[str, Split]:
    """Return held-out folders with a number, such as `test1` beside `train`."""
    named = {folder: split_named(_NUMBER.sub("", folder)) for folder in sorted(folders) if _NUMBER.search(folder)}
    return {folder: split for folder, split in named.items() if split in (Split.VAL, Split.TEST)}


def _with_one_prefix(folders: Iterable[str]) -> dict[str, Split]:
    """Return folders such as `flowers_train` and `flowers_test`, if one prefix has a training and another split."""
    by_prefix: dict[str | None, dict[str, Split]] = defaultdict(dict)
    for folder in folders:
        prefix, split = parsed(folder)
        if split:
            by_prefix[prefix][folder] = split
    several = [
        splits for splits in by_prefix.values() if Split.TRAIN in splits.values() and len(set(splits.values())) > 1
    ]
    return several[0] if len(several) == 1 else {}


def _with_equal_classes(tree: Tree) -> dict[str, Split]:
    """Return folders whose names mention splits and that hold the same class folders, or held-out images only."""
    mentioned = {folder: split for folder in tree.inside if (split := split_mentioned(folder))}
    classes = {folder: tree.branches[folder].names for folder in mentioned}
    for training, split in mentioned.items():
        names = classes[training]
        if split is not Split.TRAIN or len(names) < 2:
            continue
        alike = {folder: split for folder, split in mentioned.items() if len(classes[folder] & names) > 1}
        if len(set(alike.values())) > 1 or len(alike) == len(tree.inside) > 1:
            return alike
        if len(mentioned) == len(tree.inside) and not any(
            classes[folder] for folder in mentioned if folder != training
        ):
            return mentioned if len(set(mentioned.values())) > 1 else {}
    return {}


def _are_splits(splits: Mapping[str, Split], inside: Mapping[str, set[str]]) -> bool:
    with_classes = any(inside[folder] for folder, split in splits.items() if split is Split.TRAIN)
    return with_classes and len(set(splits.values())) > 1


def _holding_splits(tree: Tree) -> list[str]:
    """Return the top folders that have a training folder with folders in it and another split folder in them."""
    holders = []
    for top, branches in tree.branches.items():
        depth = 1 + len(branches.way)
        deep = {path[depth] for path in tree.below[top] if len(path) > depth + 1}
        splits = {name: split for name in branches.names if (split := split_named(name))}
        if _are_splits(splits, {name: {name} & deep for name in splits}):
            holders.append(top)
    return holders


def _check_training_is_a_class(splits: Mapping[str, Split], inside: Mapping[str, set[str]]) -> None:
    """Raise BadDataset for a training folder that may be a class.

    That is one beside a validation or test folder, or one with several folders in it, none of which the others have,
    or that the only other folder has, unless their names are numbers, such as years.
    """
    others = sorted(folder for folder in inside if folder not in splits)
    beside = set().union(*(inside[folder] for folder in others))
    for training in (folder for folder, split in splits.items() if split is Split.TRAIN):
        shared = inside[training] & beside
        doubtful = not shared or (len(inside) == 2 and not all(name.isdigit() for name in shared))
        if len(set(splits.values())) > 1 or (len(inside[training]) > 1 and doubtful):
            raise BadDataset(
                f"{shown(training)!r} beside {shown(others[0])!r} may be a split or a class; if it is a split, put "
                "class folders in it and remove the folders that are not splits; if it is a class, rename it"
            )


def _depth(top: str, paths: list[list[str]], training: set[str] | None) -> int:
    """Return how many folders lie above the class folders: the split folder, repeated as in `seg_train/seg_train/cat`.

    Also a folder such as `images` that is the only one in a held-out split, and not one of the training classes.
    """
    depth = 1
    while True:
        names = {path[depth] for path in paths if len(path) > depth}
        only = next(iter(names)) if len(names) == 1 else ""
        if training is not None and is_container(only) and only not in training and max(map(len, paths)) == depth + 1:
            return depth + 1
        if only.lower() != top.lower():
            return depth
        depth += 1
