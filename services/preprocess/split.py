"""Assign images to the training, validation and test splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from contract.datasets import Split, SplitSpec
from services.preprocess.layout import ImageFile


def assign_splits(images: Iterable[ImageFile], spec: SplitSpec) -> dict[Split, tuple[ImageFile, ...]]:
    """Assign every image to one split and shuffle each split; deterministic for the same names, classes and seed.

    Images that the archive puts in a split stay there. The others are divided within each class by the shares of
    `spec`, by largest remainder. If that leaves none for validation, because the archive has only train and test, the
    training images are divided again within each class, in the ratio of train to val. Every class keeps a training
    image. The order is that of SHA-256 over seed and name, so the order of files in the zip does not matter.
    """
    ordered = sorted(images, key=lambda image: _shuffled(image.name, spec.seed))
    free = [image for image in ordered if image.split is None]
    chosen = {image.name: image.split for image in ordered if image.split is not None}
    chosen |= _stratified(free, {Split.TRAIN: spec.train, Split.VAL: spec.val, Split.TEST: spec.test})
    if Split.VAL not in chosen.values():
        training = [image for image in ordered if chosen[image.name] is Split.TRAIN]
        both = spec.train + spec.val
        chosen |= _stratified(training, {Split.TRAIN: spec.train / both, Split.VAL: spec.val / both})
    return {split: tuple(image for image in ordered if chosen[image.name] is split) for split in Split}


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
