"""The charts that the server draws."""

from itertools import pairwise

import pytest

from services.gateway.console.charts import HEIGHT, WIDTH, columns


@pytest.mark.parametrize("count", [1, 7, 90, 365])
def test_columns_stand_side_by_side_whatever_their_number(count: int) -> None:
    drawn = columns([2.0] * count, [4.0] * count, ["a day"] * count).columns

    assert all(column.width > 0 for column in drawn)
    assert all(one.x + one.width < other.x + 0.1 for one, other in pairwise(drawn))
    assert drawn[-1].x + drawn[-1].width <= WIDTH
    assert {(column.height, column.back) for column in drawn} == {(HEIGHT / 2, HEIGHT)}
