"""Says how a table could label the images if it is not a manifest only because of its columns' names."""

from collections.abc import Callable
from itertools import islice

from contract.errors import BadDataset
from contract.labels import MAX_LABEL_LENGTH
from media.archives.rejections import shown
from services.preprocess.columns import LABEL, PATH, SPLIT, share_of_files
from services.preprocess.tables import Table

_MOST_COLUMNS = 40
_MOST_CLASSES = 1000
_MOST_SHOWN = 10
_FEW_ROWS = 1000


def column_hint(table: Table, is_file: Callable[[str], bool], most_rows: int) -> str | None:
    """Return which columns to name in the spec, or None if no column names files or none could name classes.

    A column could name classes if each of its values is in two rows or more, on average.
    """
    name = shown(table.name)
    if any(map(is_file, table.header)):
        return f"{name} names an image in its first line; put the names of the columns before it, such as path,label"
    try:
        path = _path_column(table, is_file)
        labels = [] if path is None else _label_columns(table, path, most_rows)
    except BadDataset:
        return None
    if path is None or not labels:
        return None
    images = f"{name} names the images in its column {shown(table.header[path])!r}"
    say_path = f"layout.path_column to {shown(table.header[path])!r}"
    if table.columns[labels[0]] in LABEL:
        return f"{images}; if it labels them, set {say_path}"
    columns = " or ".join(repr(shown(table.header[column])) for column in labels[:_MOST_SHOWN])
    return (
        f"{images}, but none of its columns has a usual name for the class; if one of them names it, set "
        f"{'' if table.columns[path] in PATH else say_path + ' and '}layout.label_column to {columns}"
    )


def _path_column(table: Table, is_file: Callable[[str], bool]) -> int | None:
    """Return the column whose cells are mostly files, and mostly different ones."""
    usual = [table.columns.index(column) for column in PATH if column in table.columns]
    column: int
    for column in dict.fromkeys([*usual, *range(min(len(table.columns), _MOST_COLUMNS))]):
        if share_of_files(table, column, is_file) < 0.5:
            continue
        cells = [row[column] for row in islice(table.rows(_FEW_ROWS + 1), _FEW_ROWS) if column < len(row)]
        if 2 * len(set(cells)) > len(cells):
            return column
    return None


def _label_columns(table: Table, path: int, most_rows: int) -> list[int]:
    """Return the columns that could name classes; only the usual one, if there is one."""
    if usual := [table.columns.index(column) for column in LABEL if column in table.columns]:
        return usual[:1]
    columns = {
        number: set[str]()
        for number, column in enumerate(table.columns[:_MOST_COLUMNS])
        if number != path and column not in SPLIT
    }
    active, rows = list(columns), 0
    for cells in table.rows(most_rows):
        rows += 1
        for number in active:
            columns[number].add(cells[number] if number < len(cells) else "")
        if rows % _MOST_CLASSES == 0:
            active = [number for number in active if len(columns[number]) <= _MOST_CLASSES]
    return [
        number
        for number, values in columns.items()
        if 1 < len(values) <= _MOST_CLASSES and 2 * len(values) <= rows and max(map(len, values)) <= MAX_LABEL_LENGTH
    ]
