"""Names of a dataset version's images as files of an export: `split/class/file`."""

import hashlib
import re
from array import array
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.datasets import Label
from media.image_index import Source

COLUMNS = ("split", "label", "path")
_NO_FILE = re.compile(r'[\\/:*?"<>|%]')  # of a name on some operating system


class FileNames:
    """The names of all images of an index, unique, also where systems ignore case; takes 8 bytes an image."""

    def __init__(self, index: Source) -> None:
        digests = array("Q")
        for batch in pq.ParquetFile(index).iter_batches(columns=list(COLUMNS)):
            digests.extend(_digest(*row) for row in _rows(batch))
        values, counts = np.unique(np.array(digests, np.uint64), return_counts=True)
        self._repeated = frozenset(values[counts > 1].tolist())

    def name(self, number: int, split: str, label: Label, path: str) -> str:
        """Return the name of the image in a row of the index; that of several with one name has the row's number."""
        name = PurePosixPath(path).name
        if _digest(split, label, path) in self._repeated:
            stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
            name = f"{stem}-{number}{suffix}"
        return f"{split}/{folder_of(label)}/{name}"

    def all(self, rows: pa.Table) -> Iterator[str]:
        """Yield the names of all rows of the index."""
        for number, row in enumerate(_rows(rows)):
            yield self.name(number, *row)


def folder_of(label: Label) -> str:
    """Return the folder of a class, in which what no file name may have is percent-encoded."""
    return _NO_FILE.sub(lambda character: f"%{ord(character[0]):02X}", label)


def _digest(split: str, label: str, path: str) -> int:
    name = f"{split}/{folder_of(label)}/{PurePosixPath(path).name}".casefold()
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _rows(rows: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, str, str]]:
    columns = (rows.column(rows.schema.get_field_index(name)).to_pylist() for name in COLUMNS)
    yield from zip(*columns, strict=True)
