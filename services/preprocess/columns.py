"""Which columns of a table name the file, its class, its split and its group."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from contract.errors import BadDataset
from media.archives.rejections import shown
from services.preprocess.tables import Table, normalised_column

PATH = ("path", "file", "file_name", "filename", "image", "image_id", "id")
LABEL = ("label", "class", "target", "category")
SPLIT = ("split",)
_ONES = frozenset({"1", "1.0", "true"})
_ZEROS = frozenset({"0", "0.0", "false", ""})
_SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class Row:
    """A row of a manifest; `split` and `group` may be empty. `fault` is why it is rejected, if it is."""

    path: str
    label: str
    split: str
    group: str = ""
    fault: str | None = None


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns of a table. Either `label` names the class, or one of `one_hot` is 1 in each row."""

    path: int
    label: int | None
    one_hot: dict[int, str]
    split: int | None
    group: int | None


def find_columns(table: Table, group_by: str | None = None) -> Columns:
    """Return the columns of a manifest. Raise BadDataset if the table is none."""
    path, label, split = (_first(table, usual) for usual in (PATH, LABEL, SPLIT))
    group = _first(table, (normalised_column(group_by),)) if group_by else None
    one_hot = _one_hot(table, {path, split, group}) if path is not None and label is None else {}
    if path is None or (label is None and not one_hot):
        raise BadDataset(
            f"{shown(table.name)} needs the columns path,label or path,label,split in its first line "
            f"(for path also {', '.join(PATH[1:])}; for label also {', '.join(LABEL[1:])}; or a column for each class "
            "with one 1 in each row)"
        )
    return Columns(path, label, one_hot, split, group)


def read_rows(table: Table, columns: Columns, most: int) -> Iterator[Row]:
    """Yield the rows of a manifest. Raise BadDataset if it cannot be read or has more than `most` rows."""
    for cells in table.rows(most):
        label, fault = (
            _hot_label(cells, columns.one_hot) if columns.label is None else (_at(cells, columns.label), None)
        )
        yield Row(_at(cells, columns.path), label, _at(cells, columns.split), _at(cells, columns.group), fault)


def _first(table: Table, usual: tuple[str, ...]) -> int | None:
    return next((table.columns.index(column) for column in usual if column in table.columns), None)


def _at(cells: list[str], column: int | None) -> str:
    return cells[column] if column is not None and column < len(cells) else ""


def _one_hot(table: Table, taken: set[int | None]) -> dict[int, str]:
    """Return the columns of ones and zeros with their classes, if there are several and most rows have one 1."""
    rows = list(islice(table.rows(_SAMPLE_ROWS + 1), _SAMPLE_ROWS))
    possible = {
        number: table.header[number]
        for number, column in enumerate(table.columns)
        if number not in taken and column and all(_at(cells, number).lower() in _ONES | _ZEROS for cells in rows)
    }
    hot = {number: name for number, name in possible.items() if any(_is_one(cells, number) for cells in rows)}
    good = sum(_hot_label(cells, possible)[1] is None for cells in rows)
    return possible if len(possible) > 1 and len(hot) > 0 and 2 * good >= len(rows) else {}


def _hot_label(cells: list[str], one_hot: dict[int, str]) -> tuple[str, str | None]:
    ones = [name for number, name in one_hot.items() if _is_one(cells, number)]
    if len(ones) == 1:
        return ones[0], None
    return "", f"its row has a 1 in {len(ones) or 'none'} of the label columns; exactly one must be 1"


def _is_one(cells: list[str], column: int) -> bool:
    return _at(cells, column).lower() in _ONES
