"""Collects what is doubtful in a dataset that is prepared all the same."""

from collections.abc import Iterable

from contract.datasets import DatasetWarning
from media.archives.rejections import shown

MOST_EXAMPLES = 10


class Warnings:
    """The warnings of one dataset, in the order in which they were added."""

    def __init__(self) -> None:
        self._warnings: list[DatasetWarning] = []

    def add(self, code: str, message: str, examples: Iterable[str], advice: str, count: int | None = None) -> None:
        """Add a warning with the first examples; `count` is their number if it is not given. None are no warning."""
        listed = list(examples)
        if count is None:
            count = len(listed)
        if count:
            first = tuple(map(shown, listed[:MOST_EXAMPLES]))
            self._warnings.append(
                DatasetWarning(code=code, message=message, count=count, examples=first, advice=advice)
            )

    def merge(self, warnings: Iterable[DatasetWarning]) -> None:
        """Add warnings collected elsewhere."""
        self._warnings += warnings

    @property
    def all(self) -> tuple[DatasetWarning, ...]:
        return tuple(self._warnings)


def plural(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as `1 image` or `2 classes`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
