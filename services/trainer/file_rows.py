"""Reads rows of arrays in files without mapping them.

A map counts as memory of the process, and a kernel may map 2 MiB for each image of 3 KB that is read in random order.
"""

import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic
from numpy.typing import NDArray


class FileRows:
    """The images, uint8 (n, C, H, W), in a file; indexed by numbers from -n to n - 1, like an array.

    Reading an image takes a microsecond more than from a map.
    """

    def __init__(self, file: BinaryIO, start: int, shape: tuple[int, ...]) -> None:
        """`start` is the position of the first row in the file, which may be closed or deleted afterwards."""
        self.shape = shape
        self._start = start
        self._size = int(np.prod(shape[1:]))
        self._fd = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._fd)

    @classmethod
    def of(cls, path: Path) -> Self:
        """Open a .npy file of version 1.0."""
        with path.open("rb") as file:
            read_magic(file)
            shape, _, _ = read_array_header_1_0(file)
            return cls(file, file.tell(), shape)

    @classmethod
    def stored(cls, parts: Iterable[NDArray[np.uint8]], file: BinaryIO) -> Self:
        """Write arrays of rows one after another to a file; at least one."""
        count, shape = 0, tuple[int, ...]()
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
            count, shape = count + len(part), part.shape[1:]
        file.flush()
        return cls(file, 0, (count, *shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        rows = np.empty((len(indices), *self.shape[1:]), np.uint8)
        if not rows.size:
            return rows
        numbers = indices % len(self)
        if (np.diff(numbers) == 1).all():
            numbers, size = numbers[:1], rows.nbytes
        else:
            size = self._size
        data, read = rows.data.cast("B"), os.preadv
        for at, number in enumerate(numbers.tolist()):
            if read(self._fd, [data[at * size : (at + 1) * size]], self._start + number * self._size) != size:
                raise OSError("a file of images was cut off")
        return rows
