"""The files of a dataset that may be images, as columns: an object for each would take 100 bytes more."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split

SPLITS = tuple(Split)
NO_SPLIT = -1
_NUMBERS = {split: number for number, split in enumerate(SPLITS)} | {None: NO_SPLIT}
_WITH_NONE = (*SPLITS, None)  # the last is number -1


class ImageFile(NamedTuple):
    """A file that may be an image, with its class, its split if the archive gives one, and its group if asked for."""

    name: str
    label: str
    split: Split | None
    group: str | None = None


class ImageFiles(Sequence[ImageFile]):
    """Image files in order; equal to any sequence of the same files."""

    def __init__(self, files: Iterable[ImageFile] = ()) -> None:
        self.names: list[str] = []
        self._labels = _Texts()
        self._splits = array("b")
        self._groups = _Texts()
        self.extend(files)

    def extend(self, files: Iterable[ImageFile]) -> None:
        for name, label, split, group in files:
            self.names.append(name)
            self._labels.append(label)
            self._splits.append(_NUMBERS[split])
            self._groups.append(group)

    @property
    def labels(self) -> set[str]:
        """The classes."""
        return {label for number in set(self._labels.numbers) if (label := self._labels.texts[number]) is not None}

    @property
    def split_numbers(self) -> NDArray[np.int8]:
        """The number of each file's split among SPLITS, or NO_SPLIT."""
        return np.frombuffer(self._splits, np.int8) if self.names else np.empty(0, np.int8)

    def label_numbers(self, classes: Sequence[str]) -> NDArray[np.int32]:
        """Return the number of each file's class among `classes`."""
        numbers: dict[str | None, int] = {label: number for number, label in enumerate(classes)}
        table = np.array([numbers.get(label, -1) for label in self._labels.texts], np.int32)
        return table[np.frombuffer(self._labels.numbers, np.int32)] if self.names else table

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Return the files at `indices`, in that order."""
        taken = type(self)()
        taken.names = [self.names[index] for index in indices.data]
        taken._labels = self._labels.take(indices)
        taken._splits = _taken(self._splits, indices)
        taken._groups = self._groups.take(indices)
        return taken

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[ImageFile]:
        splits = map(_WITH_NONE.__getitem__, self._splits)
        return map(ImageFile._make, zip(self.names, self._labels, splits, self._groups, strict=True))

    @overload
    def __getitem__(self, index: int) -> ImageFile: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> ImageFile | Self:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        label, group = self._labels[index], self._groups[index]
        assert label is not None  # noqa: S101  `extend` takes no file without one
        return ImageFile(self.names[index], label, _WITH_NONE[self._splits[index]], group)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(ImageFile.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # can be changed


class _Texts:
    """Texts of which many are equal; each is stored once, and its number for each use."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self.numbers = array("i")
        self._known: dict[str | None, int] = {}

    def append(self, text: str | None) -> None:
        number = self._known.get(text)
        if number is None:
            number = self._known[text] = len(self.texts)
            self.texts.append(text)
        self.numbers.append(number)

    def take(self, indices: NDArray[np.int64]) -> Self:
        taken = type(self)()
        taken.texts, taken._known, taken.numbers = self.texts, self._known, _taken(self.numbers, indices)
        return taken

    def __getitem__(self, index: int) -> str | None:
        return self.texts[self.numbers[index]]

    def __iter__(self) -> Iterator[str | None]:
        return map(self.texts.__getitem__, self.numbers)


def _taken(values: "array[int]", indices: NDArray[np.int64]) -> "array[int]":
    taken = array(values.typecode)
    if len(indices):
        taken.frombytes(np.frombuffer(values, values.typecode)[indices].tobytes())
    return taken
