"""The items of a job are divided into parts."""

import pytest

from worker.slicing import Slice, sliced


@pytest.mark.parametrize(("count", "most"), [(1, 1), (10, 3), (4097, 4096), (12, 4), (200_000, 4096)])
def test_parts_hold_every_item_once_and_have_similar_sizes(count: int, most: int) -> None:
    slices = [Slice.model_validate(part) for part in sliced(count, most).parts]

    assert [number for part in slices for number in range(part.start, part.stop)] == list(range(count))
    sizes = [len(part) for part in slices]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(slices) == -(-count // most)
