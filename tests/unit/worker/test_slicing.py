"""Items are cut into parts of a job."""

import pytest

from worker.slicing import Slice, sliced


@pytest.mark.parametrize(("count", "most"), [(1, 1), (10, 3), (4097, 4096), (12, 4), (200_000, 4096)])
def test_parts_hold_every_item_once_and_are_alike(count: int, most: int) -> None:
    spans = [Slice.model_validate(part) for part in sliced(count, most).parts]

    assert [number for span in spans for number in range(span.start, span.stop)] == list(range(count))
    sizes = [len(span) for span in spans]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(spans) == -(-count // most)
