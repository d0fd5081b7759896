"""Divides whole groups of images, such as those of one patient, among splits."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from contract.datasets import Split


class Grouped(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def group(self) -> str | None: ...


def group_key(image: Grouped) -> tuple[str, str]:
    """Return what an image must stay together with; without a group it is alone."""
    return ("group", image.group) if image.group is not None else ("image", image.name)


def divide_groups(images: Iterable[Grouped], shares: Mapping[Split, float], seed: int) -> dict[str, Split]:
    """Return the split of each image, the same for each group; deterministic for the same names, groups and seed.

    Groups are placed from the largest to the smallest, each where its classes lack most images, so the shares hold
    within each class as well as whole groups allow. Each class has a training image.
    """
    groups: dict[tuple[str, str], list[Grouped]] = defaultdict(list)
    for image in images:
        groups[group_key(image)].append(image)
    totals = Counter(image.label for members in groups.values() for image in members)
    wanted = {
        split: {label: share * total for label, total in totals.items()} for split, share in shares.items() if share
    }
    chosen: dict[tuple[str, str], Split] = {}
    ordered = sorted(groups, key=lambda key: (-len(groups[key]), _shuffled(key, seed)))
    for key in ordered:
        counts = Counter(image.label for image in groups[key])
        split = max(wanted, key=lambda s: sum(n * wanted[s][label] / totals[label] for label, n in counts.items()))
        chosen[key] = split
        for label, count in counts.items():
            wanted[split][label] -= count
    _train_each_class(chosen, ordered, groups)
    return {image.name: chosen[key] for key, members in groups.items() for image in members}


def _train_each_class(
    chosen: dict[tuple[str, str], Split],
    ordered: Sequence[tuple[str, str]],
    groups: Mapping[tuple[str, str], Sequence[Grouped]],
) -> None:
    """Move the smallest group of each class without a training image to training."""
    trained = {image.label for key, members in groups.items() if chosen[key] is Split.TRAIN for image in members}
    for key in reversed(ordered):
        labels = {image.label for image in groups[key]}
        if labels - trained:
            chosen[key] = Split.TRAIN
            trained |= labels


def _shuffled(key: tuple[str, str], seed: int) -> bytes:
    return hashlib.sha256("\0".join((str(seed), *key)).encode("utf-8", "surrogatepass")).digest()
