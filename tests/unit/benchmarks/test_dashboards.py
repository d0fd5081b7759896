"""How values of a dashboard are written in its picture."""

import pytest

from benchmarks.dashboards.draw import formatter


@pytest.mark.parametrize(
    ("unit", "largest", "value", "text"),
    [
        ("s", 0.02, 0.0125, "12.5 ms"),
        ("s", 90.0, 30.0, "30 s"),
        ("bytes", 3 << 20, 1.5 * (1 << 20), "1.5 MiB"),
        ("Bps", 2048.0, 1024.0, "1 KiB/s"),
        ("percentunit", 1.0, 0.25, "25 %"),
        ("reqps", 10.0, 2.0, "2 /s"),
        ("short", 3.0, 2.0, "2"),
    ],
)
def test_a_value_is_written_at_the_scale_of_the_largest(unit: str, largest: float, value: float, text: str) -> None:
    assert formatter(unit, largest)(value, None) == text
