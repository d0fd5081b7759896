"""The output of `tidepool status`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contract.supervision import State
from tidepool.stack.status import Status, StatusRow

COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "draining": "yellow",
    "orphaned": "red",
    "dead": "red",
}

NUMBERS = {"pid", "restarts", "uptime", "memory"}


def print_status(console: Console, status: Status) -> None:
    """Print one line per process and one for all stopped replicas, or how to start the stack."""
    if not status.components:
        console.print("The stack is down. Start it with: [bold]make up[/]")
        return
    table = Table(title=f"Tidepool at {status.url}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("process", "pid", "state", "restarts", "uptime", "memory", "log"):
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in status.components:
        if row.state != State.STOPPED:
            table.add_row(*_cells(row))
    console.print(table, highlight=False)
    if stopped := _stopped(status.components):
        console.print(f"Stopped until needed: {stopped}.", highlight=False)
    if not status.supervised:
        console.print(
            "The supervisor was killed. [bold]make down[/] stops the other processes; [bold]make up[/] restarts it."
        )


def _stopped(rows: Sequence[StatusRow]) -> str:
    """Return text like `1 of trainer, 3 of inference`."""
    counts = Counter(row.role for row in rows if row.state == State.STOPPED)
    return ", ".join(f"{count} of {role}" for role, count in counts.items())


def _cells(row: StatusRow) -> tuple[str, ...]:
    colour = COLOURS.get(row.state, "default")
    return (
        row.name,
        str(row.pid or ""),
        f"[{colour}]{row.state}[/]",
        str(row.restarts),
        "" if row.uptime_s is None else _span(row.uptime_s),
        "" if row.memory_bytes is None else f"{row.memory_bytes / 2**20:.0f} MiB",
        _short(Path(row.log)),
    )


def _short(path: Path) -> str:
    """Return the path relative to the current folder if it is inside it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _span(seconds: float) -> str:
    """Return text like `42 s`, `12 min` or `3.5 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
