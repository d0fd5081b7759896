"""The rows of a batch prediction, one per image, as JSON lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from contract.base import Frozen, Sha256
from contract.datasets import Label
from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction


class PredictionRow(Frozen):
    """An image's predictions, best first, or the error that prevented them.

    `image` is its name in the archive, or its number in a split whose version has no index; `sha256` is of its bytes as
    uploaded. `label` is its true class, if known.
    """

    image: str | int
    sha256: Sha256 | None = None
    label: Label | None = None
    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None

    @classmethod
    def of(cls, image: str | int, label: str | None, result: ImageResult, sha256: str | None = None) -> Self:
        return cls(image=image, sha256=sha256, label=label, predictions=result.predictions, error=result.error)


def write_lines(rows: Iterable[PredictionRow], path: Path) -> None:
    """Write one JSON object per line; fields that are None are left out."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(row.model_dump_json(exclude_none=True) + "\n")


def read_lines(path: Path) -> Iterator[PredictionRow]:
    """Yield the rows of a file of `write_lines`."""
    with path.open(encoding="utf-8") as file:
        yield from map(PredictionRow.model_validate_json, file)
