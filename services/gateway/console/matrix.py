"""The confusion matrix of a model as the cells of a table, of the classes with the most errors if there are many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contract.evaluation import ClassMetrics, Metrics

MOST = 16  # classes of the table; more are not readable
LEVELS = 9  # shades of a cell


@dataclass(frozen=True)
class Cell:
    """How many images of class `label` were predicted as `predicted`; `level` is the shade, 0 is none."""

    label: str
    predicted: str
    count: int
    level: int

    @property
    def right(self) -> bool:
        return self.label == self.predicted


class MatrixRow(NamedTuple):
    label: str
    support: int
    cells: tuple[Cell, ...]


class Matrix(NamedTuple):
    """`labels` are the classes of rows and columns; `left_out` is the number of the others."""

    labels: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    left_out: int


def matrix_of(labels: Sequence[str], metrics: Metrics) -> Matrix | None:
    """Return the table, or None if the matrix does not have these classes."""
    counts = metrics.confusion_matrix
    if not labels or len(labels) != len(counts):
        return None
    shown = _most_confused(counts) if len(labels) > MOST else range(len(labels))
    rows = []
    for row in shown:
        support = sum(counts[row])
        cells = (
            Cell(labels[row], labels[column], counts[row][column], _level(counts[row][column], support, row == column))
            for column in shown
        )
        rows.append(MatrixRow(labels[row], support, tuple(cells)))
    return Matrix(tuple(labels[row] for row in shown), tuple(rows), len(labels) - len(rows))


def weakest(metrics: Metrics) -> tuple[tuple[str, ClassMetrics], ...]:
    """Return the classes that have images, the lowest F1 first."""
    counted = ((label, one) for label, one in metrics.per_class.items() if one.support)
    return tuple(sorted(counted, key=lambda pair: pair[1].f1))


def _level(count: int, support: int, right: bool) -> int:
    if not count or not support:
        return 0
    share = count / support
    # wrong answers are few, so their shades grow faster
    return max(1, min(LEVELS, round((share if right else share**0.5) * LEVELS)))


def _most_confused(counts: Sequence[Sequence[int]]) -> list[int]:
    errors = [0] * len(counts)
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if row != column and count:
                errors[row] += count
                errors[column] += count
    return sorted(sorted(range(len(counts)), key=lambda number: -errors[number])[:MOST])
