"""The only place that says what a batch prediction tells of one picture."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from contract.base import Frozen
from contract.datasets import Label
from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction


class Row(Frozen):
    """A picture's predictions, best first, or why there are none.

    `image` is its name in an archive or its number in a split, `label` its true class where that is known.
    """

    image: str | int
    label: Label | None = None
    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None

    @classmethod
    def of(cls, image: str | int, label: str | None, result: ImageResult) -> Self:
        return cls(image=image, label=label, predictions=result.predictions, error=result.error)


def write_lines(rows: Iterable[Row], path: Path) -> None:
    """One JSON object a line, without what a row does not have."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(row.model_dump_json(exclude_none=True) + "\n")


def read_lines(path: Path) -> Iterator[Row]:
    """The rows that `write_lines` wrote, one after the other."""
    with path.open(encoding="utf-8") as file:
        yield from map(Row.model_validate_json, file)
