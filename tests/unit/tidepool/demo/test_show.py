import io

import pytest
from rich.console import Console

from tidepool.demo.show import Show


def test_without_a_terminal_there_is_a_line_a_step_and_no_escape_code() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with Show(console) as show, show.step("Training") as update:
        update(0.5, "epoch 1")
    assert console.file.getvalue().startswith("Training: done in 0.")  # type: ignore[attr-defined]
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_on_a_terminal_there_is_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Show(console) as show, show.step("Training") as update:
        update(0.5, "epoch 1")
    assert "100%" in console.file.getvalue()  # type: ignore[attr-defined]


def test_seconds_of_each_step_in_order() -> None:
    with Show(Console(file=io.StringIO())) as show:
        for title in ("one", "two"):
            with show.step(title):
                pass
    assert list(show.seconds) == ["one", "two"]


def test_a_step_that_fails_has_no_seconds() -> None:
    with pytest.raises(ValueError), Show(Console(file=io.StringIO())) as show, show.step("one"):
        raise ValueError
    assert show.seconds == {}
