"""The images of a version in the order of its index, with their names and, one by one, their files."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from contract.datasets import DatasetManifest
from contract.errors import Conflict
from contract.image_index import MEMBER, SOURCE
from contract.references import Reference, S3Source, UploadSource
from media.archives.limits import Limits
from media.archives.places import Place
from media.file_names import FileNames
from media.image_index import PLACE
from services.gateway.images.files import read_original
from services.gateway.images.library import Library
from services.storage.sources import SourcePrefix

AHEAD, AHEAD_BYTES = 8, 32 << 20  # of files that are read while the client takes others
UNKNOWN_BYTES = 4 << 20  # of an object in a bucket, until a larger one was read
_COLUMNS = ("sha256", "path", "split", "label", "width", "height")
_PLACES = (MEMBER, *PLACE.names)


class NamedImage(NamedTuple):
    """An image of a version, its number in the index, and its name as a file: `split/class/file`."""

    number: int
    file: str
    sha256: str
    path: str
    split: str
    label: str
    width: int
    height: int


@dataclass(frozen=True)
class VersionImages:
    """A version whose images are read one after another; some thousand rows of the index are in memory at a time.

    Methods raise Conflict if an original cannot be read alone or was changed, Corrupt, and ObjectsUnavailable.
    """

    library: Library
    reference: Reference
    manifest: DatasetManifest

    @cached_property
    def names(self) -> FileNames:
        with self.library.index(self.reference, self.manifest) as index:
            return FileNames(index)

    def images(self) -> Iterator[NamedImage]:
        """Yield the images."""
        for number, row in self._rows(_COLUMNS):
            yield self._image(number, row)

    def files(self) -> Generator[tuple[NamedImage, bytes], None, None]:
        """Yield the images with their originals; the next ones are read meanwhile."""
        sources = [self._opened(files.source) for files in self.library.stores.datasets.originals(self.reference)]
        waiting: deque[tuple[NamedImage, int, Future[bytes]]] = deque()
        size, unknown = 0, UNKNOWN_BYTES  # of what waits; of an object in a bucket
        with ThreadPoolExecutor(AHEAD, "export") as pool:
            try:
                for number, row in self._rows((*_COLUMNS, *_PLACES, SOURCE)):
                    image = self._image(number, row)
                    own = row["size"] or unknown
                    while waiting and (len(waiting) >= AHEAD or size + own > AHEAD_BYTES):
                        first, done, read = waiting.popleft()
                        size -= done
                        data = read.result()
                        unknown = max(unknown, len(data))
                        yield first, data
                    waiting.append((image, own, pool.submit(sources[row.get(SOURCE) or 0], row)))
                    size += own
                while waiting:
                    first, _, read = waiting.popleft()
                    yield first, read.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _opened(self, source: UploadSource | S3Source) -> Callable[[dict[str, Any]], bytes]:
        """Return the function that reads the original of a row."""
        if isinstance(source, S3Source):
            prefix = SourcePrefix.from_environment(source)
            return lambda row: prefix.read_original(row[MEMBER], row["sha256"].hex(), Limits().member_bytes)
        upload, objects = self.library.stores.uploads.ref(source.upload), self.library.objects

        def read(row: dict[str, Any]) -> bytes:
            if row["start"] is None:
                raise Conflict(
                    "the images lie in a compressed tar, of which no part can be read; upload a zip or a plain tar"
                )
            place = Place(*(row[name] for name in PLACE.names))
            return read_original(objects, upload, place, row["sha256"].hex())

        return read

    def _image(self, number: int, row: dict[str, Any]) -> NamedImage:
        values = {name: row[name] for name in _COLUMNS} | {"sha256": row["sha256"].hex()}
        return NamedImage(number, self.names.name(number, row["split"], row["label"], row["path"]), **values)

    def _rows(self, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.library.index(self.reference, self.manifest) as index:
            file = pq.ParquetFile(index)
            present = [name for name in columns if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(1024, columns=present):
                for row in batch.to_pylist():
                    yield number, row
                    number += 1
