"""The only place that cuts a sequence of items into the parts of a job."""

from itertools import pairwise

from contract.base import Frozen, Whole
from contract.division import Division


class Slice(Frozen):
    """The items from number `start` to before `stop`."""

    start: Whole
    stop: Whole

    def __len__(self) -> int:
        return self.stop - self.start


def sliced(count: int, most: int) -> Division:
    """Parts of at most `most` of `count` items, in order, each a Slice as JSON; sizes differ by one at most."""
    parts = -(-count // most)
    edges = [count * number // parts for number in range(parts + 1)]
    spans = (Slice(start=start, stop=stop) for start, stop in pairwise(edges))
    return Division(parts=tuple(span.model_dump() for span in spans))
