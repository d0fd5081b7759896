"""Divides the items of a job into parts."""

from itertools import pairwise

from contract.base import Frozen, Whole
from contract.division import Division


class Slice(Frozen):
    """The items `start` to `stop - 1`."""

    start: Whole
    stop: Whole

    def __len__(self) -> int:
        return self.stop - self.start


def sliced(count: int, most: int) -> Division:
    """Divide `count` items into parts of at most `most`, in order, as Slice JSON; sizes differ by at most one."""
    parts = -(-count // most)
    edges = [count * number // parts for number in range(parts + 1)]
    slices = (Slice(start=start, stop=stop) for start, stop in pairwise(edges))
    return Division(parts=tuple(part.model_dump() for part in slices))
