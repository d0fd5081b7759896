"""What commands print: sentences and tables for people, JSON for scripts; progress and errors go to stderr."""

import json
import sys
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

# ruff: noqa: PLC0415  rich is imported when a table is printed, so that other commands start quickly

PIPE_WIDTH = 10_000  # columns of a table that is not printed on a terminal, so that no cell is cut
UNPRINTABLE = {"Cc", "Cs"}  # control characters, and bytes of a path that are not text

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with the fields of the REST API, and nothing else.")]


def stdout() -> "Console":
    return _console(stderr=False)


def stderr() -> "Console":
    return _console(stderr=True)


def say(*lines: object) -> None:
    """Print sentences on stdout; control characters in them are replaced."""
    for line in lines:
        print(clean(line), flush=True)


def note(*lines: object) -> None:
    """Print sentences on stderr, for what is not the result."""
    for line in lines:
        print(clean(line), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a model of the contract, or a list of them, as one indented JSON document."""
    print(_json(value, indent=2))


def print_json_line(value: Any) -> None:
    print(_json(value), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Collection[str] = ()) -> None:
    """Print a table, nothing without rows. Columns named in `numbers` are aligned at the right; None becomes a dash."""
    from rich.table import Table
    from rich.text import Text

    cells = [["–" if cell is None else clean(cell) for cell in row] for row in rows]
    if not cells:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console = stdout()
    with console.capture() as text:
        console.print(table)
    for line in text.get().splitlines():
        print(line.rstrip())


def clean(text: object) -> str:
    """Return the text without control characters, which could change what a terminal shows."""
    return "".join("\ufffd" if unicodedata.category(char) in UNPRINTABLE else char for char in str(text))


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def moment(time: datetime | None, none: str = "–") -> str:
    """Return a time in the reader's zone, to the minute."""
    return none if time is None else f"{time.astimezone():%Y-%m-%d %H:%M}"


def file_size(count: int) -> str:
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{-(-count // 1024)} KiB"


def _json(value: Any, indent: int | None = None) -> str:
    from pydantic_core import to_jsonable_python

    separators = (",", ":") if indent is None else None
    unicode = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    return json.dumps(to_jsonable_python(value), indent=indent, separators=separators, ensure_ascii=not unicode)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, emoji=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, emoji=False, width=PIPE_WIDTH)
