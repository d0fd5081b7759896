"""Virtual shards: how a batch is cut, and in which order its sums are added, whichever process computes them.

A batch is always cut into the same shards. The vectors of the shards are the leaves of a binary tree, and are added
from the leaves to the root. A process adds the subtrees whose shards are all its own; then each adds a part of the
vectors of all. So the total has the same bits for any number of processes; see docs/adr/0048.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from services.trainer.data import Indices

Subtree = tuple[int, int]
"""The shards from the first number up to the second, which is not one of them."""


def cut(batch: Indices, count: int) -> list[Indices]:
    """Cut a batch into at most `count` shards of two images or more, because batch normalization needs two."""
    return np.array_split(batch, max(min(count, len(batch) // 2), 1))


@dataclass(frozen=True)
class Sharing:
    """How `processes` share `shards`: each computes a run of neighbours; some have none if there are too few."""

    shards: int
    processes: int

    def of(self, process: int) -> range:
        """Return the shards that a process computes."""
        first, end = (self.shards * number // self.processes for number in (process, process + 1))
        return range(first, end)

    def subtrees(self, process: int) -> list[Subtree]:
        """Return the largest subtrees whose shards are all those of one process, from left to right."""
        return self._inside((0, self.shards), self.of(process))

    @property
    def slots(self) -> int:
        """The largest number of subtrees of a process: what each sends in a step."""
        return max(len(self.subtrees(process)) for process in range(self.processes))

    def _inside(self, tree: Subtree, own: range) -> list[Subtree]:
        first, end = tree
        if own.start <= first and end <= own.stop:
            return [tree]
        if end <= own.start or own.stop <= first or end - first == 1:
            return []
        return [subtree for half in _halves(tree) for subtree in self._inside(half, own)]


def total(tree: Subtree, known: Mapping[Subtree, Tensor], leaf: Callable[[int], Tensor] | None = None) -> Tensor:
    """Add the vectors of a subtree's shards in the order of the tree; `known` are subtrees that are added already.

    `leaf` computes a shard that is not known; shards are computed from left to right. Changes the vectors in place.
    """
    if tree in known:
        return known[tree]
    first, end = tree
    if end - first == 1 and leaf is not None:
        return leaf(first)
    left, right = (total(half, known, leaf) for half in _halves(tree))
    return left.add_(right)


def _halves(tree: Subtree) -> tuple[Subtree, Subtree]:
    first, end = tree
    middle = (first + end) // 2
    return (first, middle), (middle, end)
