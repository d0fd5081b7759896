"""Assign images to the training, validation and test splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split, SplitSpec
from services.preprocess.groups import divide_groups
from services.preprocess.image_files import NO_SPLIT, SPLITS, ImageFile, ImageFiles
from services.preprocess.warnings import Warnings, plural


def assign_splits(
    images: Iterable[ImageFile], spec: SplitSpec, warnings: Warnings | None = None
) -> dict[Split, ImageFiles]:
    """Assign every image to one split and shuffle each split; deterministic for the same names, classes and seed.

    Images that the archive puts in a split stay there. The others are divided within each class by the shares of
    `spec`, by largest remainder, or in whole groups if `spec.group_by` is set. If that leaves none for validation,
    because the archive has only train and test, the training images are divided again within each class, in the ratio
    of train to val. Every class keeps a training image. The order is that of SHA-256 over seed and name, so the order
    of files in the zip does not matter.
    """
    images = images if isinstance(images, ImageFiles) else ImageFiles(images)
    ordered = images.take(_order(images.names, spec.seed))
    chosen = ordered.split_numbers.copy()
    if spec.group_by is not None:
        _stay_beside_their_group(ordered, chosen)
        _warn_of_groups(ordered, warnings)
    free = np.flatnonzero(chosen == NO_SPLIT)
    _divide(ordered, free, {Split.TRAIN: spec.train, Split.VAL: spec.val, Split.TEST: spec.test}, spec, chosen)
    if not (chosen == SPLITS.index(Split.VAL)).any():
        training = np.flatnonzero(chosen == SPLITS.index(Split.TRAIN))
        both = spec.train + spec.val
        _divide(ordered, training, {Split.TRAIN: spec.train / both, Split.VAL: spec.val / both}, spec, chosen)
    return {split: ordered.take(np.flatnonzero(chosen == number)) for number, split in enumerate(SPLITS)}


def _order(names: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Return the order of SHA-256 over seed and name."""
    digests = bytearray()
    for name in names:
        digests += _shuffled(name, seed)
    return np.lexsort(np.frombuffer(digests, ">u8").reshape(-1, 4).T[::-1])


def _divide(
    images: ImageFiles,
    indices: NDArray[np.int64],
    shares: dict[Split, float],
    spec: SplitSpec,
    chosen: NDArray[np.int8],
) -> None:
    """Choose the splits of the images at `indices`."""
    if spec.group_by is None:
        _stratify(images.label_numbers(sorted(images.labels))[indices], indices, shares, chosen)
    elif len(indices):
        members = images.take(indices)
        splits = divide_groups(members, shares, spec.seed)
        chosen[indices] = [SPLITS.index(splits[name]) for name in members.names]


def _stay_beside_their_group(images: ImageFiles, chosen: NDArray[np.int8]) -> None:
    """Choose the split of images without one whose group is in a split already."""
    splits: dict[str, int] = {}
    for image in images:
        if image.group is not None and image.split:
            splits.setdefault(image.group, SPLITS.index(image.split))
    for number, image in enumerate(images):
        if image.split is None and image.group in splits:
            chosen[number] = splits[image.group]


def _warn_of_groups(images: Sequence[ImageFile], warnings: Warnings | None) -> None:
    if warnings is None:
        return
    splits: dict[str, set[Split]] = defaultdict(set)
    for image in images:
        if image.group is not None and image.split is not None:
            splits[image.group].add(image.split)
    several = sorted(group for group, used in splits.items() if len(used) > 1)
    warnings.add(
        "groups_in_several_splits",
        f"{plural(len(several), 'group is', 'groups are')} in several splits of the archive, which are kept",
        several,
        "Send the images without splits, and whole groups are divided; otherwise the measured accuracy is too high.",
    )
    if images and all(image.split for image in images) and len({image.split for image in images}) == len(Split):
        warnings.add(
            "group_by_not_used",
            "split.group_by changes nothing, because the archive puts every image in a split, which is kept",
            [image.name for image in images],
            "Send the images without split folders or a split column to divide them by groups.",
            len(images),
        )
    alone = [image.name for image in images if image.group is None]
    warnings.add(
        "images_without_group",
        f"{plural(len(alone), 'image has', 'images have')} no group and {'is' if len(alone) == 1 else 'are'} divided "
        "alone",
        alone,
        "Name the group of each in the column, or put them in a folder of this level.",
    )


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def _stratify(
    labels: NDArray[np.int32], indices: NDArray[np.int64], shares: dict[Split, float], chosen: NDArray[np.int8]
) -> None:
    """Choose the splits of the images at `indices`, which have these labels, within each class."""
    for label in np.unique(labels):
        members = indices[labels == label]
        sizes = _with_first_nonzero(largest_remainder(len(members), list(shares.values())))
        chosen[members] = np.repeat([SPLITS.index(split) for split in shares], sizes)


def largest_remainder(count: int, shares: Sequence[float]) -> list[int]:
    """Round by Hamilton's method: whole quotas first, the rest by largest fraction, the first among equal ones."""
    quotas = [count * share for share in shares]
    sizes = [int(quota) for quota in quotas]
    by_fraction = sorted(range(len(shares)), key=lambda index: sizes[index] - quotas[index])
    for index in by_fraction[: count - sum(sizes)]:
        sizes[index] += 1
    return sizes


def _with_first_nonzero(sizes: list[int]) -> list[int]:
    if sizes[0] == 0:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[0] = 1
    return sizes
