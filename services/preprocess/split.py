"""Assign images to the training, validation and test splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from contract.datasets import Split, SplitSpec
from services.preprocess.groups import divide_groups
from services.preprocess.placement import ImageFile
from services.preprocess.warnings import Warnings, plural


def assign_splits(
    images: Iterable[ImageFile], spec: SplitSpec, warnings: Warnings | None = None
) -> dict[Split, tuple[ImageFile, ...]]:
    """Assign every image to one split and shuffle each split; deterministic for the same names, classes and seed.

    Images that the archive puts in a split stay there. The others are divided within each class by the shares of
    `spec`, by largest remainder, or in whole groups if `spec.group_by` is set. If that leaves none for validation,
    because the archive has only train and test, the training images are divided again within each class, in the ratio
    of train to val. Every class keeps a training image. The order is that of SHA-256 over seed and name, so the order
    of files in the zip does not matter.
    """
    ordered = sorted(images, key=lambda image: _shuffled(image.name, spec.seed))
    chosen = {image.name: image.split for image in ordered if image.split is not None}
    if spec.group_by is not None:
        chosen |= _beside_their_group(ordered)
        _warn_of_groups(ordered, warnings)
    free = [image for image in ordered if image.name not in chosen]
    chosen |= _divided(free, {Split.TRAIN: spec.train, Split.VAL: spec.val, Split.TEST: spec.test}, spec)
    if Split.VAL not in chosen.values():
        training = [image for image in ordered if chosen[image.name] is Split.TRAIN]
        both = spec.train + spec.val
        chosen |= _divided(training, {Split.TRAIN: spec.train / both, Split.VAL: spec.val / both}, spec)
    by_split: dict[Split, list[ImageFile]] = {split: [] for split in Split}
    for image in ordered:
        by_split[chosen[image.name]].append(image)
    return {split: tuple(images) for split, images in by_split.items()}


def _divided(images: Sequence[ImageFile], shares: dict[Split, float], spec: SplitSpec) -> dict[str, Split]:
    return _stratified(images, shares) if spec.group_by is None else divide_groups(images, shares, spec.seed)


def _beside_their_group(images: Sequence[ImageFile]) -> dict[str, Split]:
    """Return the split of images without one whose group is in a split already."""
    splits = {image.group: image.split for image in reversed(images) if image.group is not None and image.split}
    return {image.name: splits[image.group] for image in images if image.split is None and image.group in splits}


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


def _stratified(images: Sequence[ImageFile], shares: dict[Split, float]) -> dict[str, Split]:
    by_class: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_class[image.label].append(image)
    chosen: dict[str, Split] = {}
    for members in by_class.values():
        sizes = _largest_remainder(len(members), list(shares.values()))
        sizes = _with_first_nonzero(sizes)
        splits = [split for split, size in zip(shares, sizes, strict=True) for _ in range(size)]
        chosen |= {image.name: split for image, split in zip(members, splits, strict=True)}
    return chosen


def _largest_remainder(count: int, shares: Sequence[float]) -> list[int]:
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
