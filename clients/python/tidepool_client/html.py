"""Small pieces of HTML for notebooks; every text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

MOST_LABELS = 30  # of a confusion matrix that is shown
_RIGHT = ' style="text-align:right"'


def facts(values: Mapping[str, object]) -> str:
    """Return a table of names and values, without those that are None or empty."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in values.items()
        if value not in {None, ""}
    )
    return f"<table>{rows}</table>"


def table(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; numbers and percentages are on the right."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return a confusion matrix, darker for larger shares of a row; nothing for more than `MOST_LABELS` classes."""
    if not 0 < len(labels) <= MOST_LABELS or len(labels) != len(counts):
        return ""
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    body = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(_shaded(count, sum(row)) for count in row)}</tr>"
        for label, row in zip(labels, counts, strict=True)
    )
    caption = "<caption>Confusion matrix: a row for each true class, a column for each predicted one</caption>"
    return f"<table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def reasons(title: str, texts: Sequence[str]) -> str:
    """Return a list of sentences with a title; nothing if there are none."""
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return (f"<p><b>{escape(title)}</b></p>" if title else "") + f"<ul>{items}</ul>"


def bar(fraction: float) -> str:
    """Return a progress bar."""
    return f'<progress value="{fraction:.3f}" max="1">{percent(fraction)}</progress>'


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _cell(value: object) -> str:
    text = str(value)
    number = isinstance(value, int | float) or text.endswith(" %")
    return f"<td{_RIGHT if number else ''}>{escape(text)}</td>"


def _shaded(count: int, total: int) -> str:
    opacity = count / total if total else 0
    return f'<td style="text-align:right;background:rgba(13,148,136,{0.6 * opacity:.2f})">{count}</td>'
