"""The demo's progress: bars on a terminal, occasional lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

LINE_INTERVAL_S = 10.0  # between two lines of one step without a terminal

WIDE = 100  # columns of a terminal that has room for long bars

Update = Callable[[float, str], None]  # the fraction done (0..1) and the current activity


class ProgressDisplay:
    """Shows progress and records the duration of each step in `seconds`."""

    def __init__(self, console: Console) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24 if console.width >= WIDE else 10),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[message]}", style="dim", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            expand=True,  # the message gets the columns that are left, and is cut there
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Update]:
        """Time one step; call the yielded function to report its progress."""
        started = time.monotonic()
        with self._lines(title) if self._bars.disable else self._bar(title) as update:
            yield update
        self.seconds[title] = time.monotonic() - started

    @contextmanager
    def _bar(self, title: str) -> Iterator[Update]:
        task = self._bars.add_task(title, total=1.0, message="")
        yield lambda fraction, message: self._bars.update(task, completed=fraction, message=message)
        self._bars.update(task, completed=1.0, message="")

    @contextmanager
    def _lines(self, title: str) -> Iterator[Update]:
        started = printed_at = time.monotonic()
        printed = ""

        def update(fraction: float, message: str) -> None:
            nonlocal printed, printed_at
            line = f"{title}: {fraction:.0%} {message}"
            if line != printed and time.monotonic() - printed_at >= LINE_INTERVAL_S:
                printed, printed_at = line, time.monotonic()
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield update
        self._console.print(f"{title}: done in {time.monotonic() - started:.1f} s", highlight=False, soft_wrap=True)
