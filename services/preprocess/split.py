"""Assign images to the training, validation and test splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from contract.datasets import Split, SplitSpec
from services.preprocess.layout import Picture


def assign_splits(pictures: Iterable[Picture], spec: SplitSpec) -> dict[Split, tuple[Picture, ...]]:
    """Every picture in one split, each split shuffled; the same for the same names, classes and seed.

    Pictures that the archive puts in a split stay there; the others are divided class by class by the shares of
    `spec`, by largest remainder. Where that leaves none for validation, because the archive names only train and test,
    the training pictures are divided once more, class by class, as train to val. Every class keeps a picture for
    training. The order is that of SHA-256 over seed and name, so a zip may be packed in any order.
    """
    ordered = sorted(pictures, key=lambda picture: _shuffled(picture.name, spec.seed))
    free = [picture for picture in ordered if picture.split is None]
    chosen = {picture.name: picture.split for picture in ordered if picture.split is not None}
    chosen |= _stratified(free, {Split.TRAIN: spec.train, Split.VAL: spec.val, Split.TEST: spec.test})
    if Split.VAL not in chosen.values():
        training = [picture for picture in ordered if chosen[picture.name] is Split.TRAIN]
        both = spec.train + spec.val
        chosen |= _stratified(training, {Split.TRAIN: spec.train / both, Split.VAL: spec.val / both})
    return {split: tuple(picture for picture in ordered if chosen[picture.name] is split) for split in Split}


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def _stratified(pictures: Sequence[Picture], shares: dict[Split, float]) -> dict[str, Split]:
    by_class: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_class[picture.label].append(picture)
    chosen: dict[str, Split] = {}
    for members in by_class.values():
        sizes = _largest_remainder(len(members), list(shares.values()))
        sizes = _with_one_in_front(sizes)
        splits = [split for split, size in zip(shares, sizes, strict=True) for _ in range(size)]
        chosen |= {picture.name: split for picture, split in zip(members, splits, strict=True)}
    return chosen


def _largest_remainder(count: int, shares: Sequence[float]) -> list[int]:
    """Hamilton's method: whole quotas first, what is left to the largest fractions, to the first of equal ones."""
    quotas = [count * share for share in shares]
    sizes = [int(quota) for quota in quotas]
    by_fraction = sorted(range(len(shares)), key=lambda index: sizes[index] - quotas[index])
    for index in by_fraction[: count - sum(sizes)]:
        sizes[index] += 1
    return sizes


def _with_one_in_front(sizes: list[int]) -> list[int]:
    if sizes[0] == 0:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[0] = 1
    return sizes
