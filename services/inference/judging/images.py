"""The images that an evaluation judges: from shards, or decoded again from the originals."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.datasets import Split
from contract.images import ImageSpec
from media.archives.decoding import decoded
from media.archives.limits import Limits
from media.archives.places import check_total
from services.inference.batch.sources import ShardSource
from services.inference.judging.evaluation import Evaluation
from worker.members import Readable
from worker.slicing import Slice
from worker.task import Task


class SplitImage(NamedTuple):
    """An image as uint8 (channels, height, width), None if it cannot be decoded; `number` counts within the split."""

    split: Split
    number: int
    pixels: NDArray[np.uint8] | None


class Images(Protocol):
    """The images of a job or of one of its parts, in any order."""

    def count(self, splits: Collection[Split]) -> int: ...

    def images(self, image: ImageSpec, splits: Collection[Split]) -> Iterator[SplitImage]:
        """Yield the images of some splits, prepared by an image spec."""


class ShardImages:
    """A slice of a job's images, from the shards; the image spec must be that of the dataset."""

    def __init__(self, task: Task, job: Evaluation, span: Slice) -> None:
        self._task = task
        self._job = job
        self._slices = tuple(job.slices(span))

    def count(self, splits: Collection[Split]) -> int:
        return sum(len(part) for split, part in self._slices if split in splits)

    def images(self, image: ImageSpec, splits: Collection[Split]) -> Iterator[SplitImage]:
        dataset, task = self._job.dataset, self._task
        for split, part in self._slices:
            if split in splits:
                source = ShardSource(dataset.shards[split], dataset.classes, task.objects.fetch, task.folder)
                first = part.start
                for number, item in enumerate(source.items(part), start=first):
                    yield SplitImage(split, number, item.pixels if isinstance(item.pixels, np.ndarray) else None)


class OriginalImages:
    """Images decoded from their originals; `opened` reads those of some of the rows, in order."""

    def __init__(self, rows: pa.Table, opened: Callable[[pa.Table], Readable]) -> None:
        self._rows = rows
        self._opened = opened

    def count(self, splits: Collection[Split]) -> int:
        return len(self._chosen(splits))

    def images(self, image: ImageSpec, splits: Collection[Split]) -> Iterator[SplitImage]:
        rows = self._chosen(splits)
        names = zip(rows["split"].to_pylist(), rows["number"].to_pylist(), strict=True)
        with closing(decoded(map(str, range(len(rows))), _Files(self._opened(rows)), image)) as results:
            for (split, number), (_, result) in zip(names, results, strict=True):
                yield SplitImage(Split(split), number, None if isinstance(result, str) else result.pixels)

    def _chosen(self, splits: Collection[Split]) -> pa.Table:
        return self._rows.filter(pc.is_in(self._rows["split"], pa.array([split.value for split in splits])))


class _Files:
    """Members as files that are named by their row."""

    def __init__(self, members: Readable) -> None:
        self._members = members
        self._inflated = 0

    @property
    def limits(self) -> Limits:
        return self._members.limits

    def read(self, name: str) -> bytes:
        data = self._members.read(int(name))
        self._inflated += len(data)
        check_total(self._inflated, self.limits)
        return data
