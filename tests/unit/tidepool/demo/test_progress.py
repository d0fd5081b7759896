import io

import pytest
from rich.console import Console

from tidepool.demo.progress import ProgressDisplay


def test_without_a_terminal_each_step_is_a_line_without_escape_codes() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with ProgressDisplay(console) as display, display.step("Training") as update:
        update(0.5, "epoch 1")
    assert console.file.getvalue().startswith("Training: done in 0.")  # type: ignore[attr-defined]
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_shows_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with ProgressDisplay(console) as display, display.step("Training") as update:
        update(0.5, "epoch 1")
    assert "100%" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_seconds_of_each_step_are_in_order() -> None:
    with ProgressDisplay(Console(file=io.StringIO())) as display:
        for title in ("one", "two"):
            with display.step(title):
                pass
    assert list(display.seconds) == ["one", "two"]


def test_a_step_that_fails_has_no_seconds() -> None:
    with pytest.raises(ValueError), ProgressDisplay(Console(file=io.StringIO())) as display, display.step("one"):
        raise ValueError
    assert display.seconds == {}
