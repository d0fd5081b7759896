"""Markdown from data: text is escaped, so that a label cannot change the page."""

import re
from collections.abc import Iterable, Sequence

UNKNOWN = "–"

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~$!])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def text(value: object) -> str:
    """Return a value as plain text of one line."""
    return _SPECIAL.sub(r"\\\1", _CONTROL.sub(" ", str(value)).strip())


def code(value: object) -> str:
    """Return a value as code, such as a name to copy; backticks in it become apostrophes."""
    return f"`{_CONTROL.sub(' ', str(value)).replace('`', chr(39)).replace('|', chr(166))}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells are Markdown already. A column is right-aligned if its header ends in ':'."""
    names = [name.removesuffix(":") for name in header]
    rules = ["---:" if name.endswith(":") else "---" for name in header]
    return [_row(names), _row(rules), *map(_row, rows), ""]


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
