"""Names of a dataset version's images as files of an export: `split/class/file`."""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.datasets import Label
from media.image_index import Source

COLUMNS = ("split", "label", "path")
_NO_FOLDER = re.compile(r'[\\/:*?"<>|%]')  # of a name on some operating system
_NO_FILE = re.compile(r'[\\:*?"<>|]')


class FileNames:
    """The names of all images of an index, unique, also where systems ignore case; takes 8 bytes an image.

    `index` is its file, which is read in batches, or its rows.
    """

    def __init__(self, index: Source | pa.Table) -> None:
        labels = set[str]()
        for batch in _batches(index, ["label"]):
            labels.update(batch.column(0).unique().to_pylist())
        alike = Counter(label.casefold() for label in labels)
        self._folders = {label: _folder(label, alike[label.casefold()] > 1) for label in labels}
        digests = array("Q")
        for batch in _batches(index, COLUMNS):
            digests.extend(_digest(self._plain(*row)) for row in _rows(batch))
        self._digests, counts = np.unique(np.array(digests, np.uint64), return_counts=True)
        self._repeated = frozenset(self._digests[counts > 1].tolist())

    def name(self, number: int, split: str, label: Label, path: str) -> str:
        """Return the name of the image in a row of the index; that of several with one name has the row's number."""
        name = PurePosixPath(self._plain(split, label, path))
        if _digest(str(name)) in self._repeated:
            name = name.with_name(f"{name.stem}-{number}{name.suffix}")
            while self._is_plain(str(name)):  # the name of another image
                name = name.with_name(f"{name.stem}-{number}{name.suffix}")
        return str(name)

    def all(self, rows: pa.Table) -> Iterator[str]:
        """Yield the names of all rows of the index."""
        for number, row in enumerate(_rows(rows)):
            yield self.name(number, *row)

    def _plain(self, split: str, label: Label, path: str) -> str:
        return f"{split}/{self._folders[label]}/{_NO_FILE.sub(_encoded, PurePosixPath(path).name)}"

    def _is_plain(self, name: str) -> bool:
        digest = np.uint64(_digest(name))
        position = np.searchsorted(self._digests, digest)
        return bool(position < len(self._digests) and self._digests[position] == digest)


def _folder(label: Label, alike: bool) -> str:
    """Return the folder of a class, in which what no file name may have is percent-encoded.

    So are capitals if there is an `alike` class, whose name differs only by case.
    """
    if not alike:
        return _NO_FOLDER.sub(_encoded, label)
    return "".join(
        _NO_FOLDER.sub(_encoded, character) if character == character.casefold() else _encoded(character)
        for character in label
    )


def _encoded(character: str | re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode("utf-8", "surrogatepass"))


def _digest(name: str) -> int:
    data = name.casefold().encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _batches(index: Source | pa.Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if isinstance(index, pa.Table):
        yield from index.select(columns).to_batches()
    else:
        yield from pq.ParquetFile(index).iter_batches(columns=list(columns))


def _rows(rows: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, str, str]]:
    columns = (rows.column(rows.schema.get_field_index(name)).to_pylist() for name in COLUMNS)
    yield from zip(*columns, strict=True)
