"""Makes a dataset version anew without an image: shards, index, counts, thumbnails and warnings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.datasets import Counts, DatasetManifest, DatasetWarning, PixelSums, Shard, Split, Thumbnail
from media.archives.rejections import shown
from media.image_index import IndexedImage, IndexWriter, read_index
from services.preprocess.duplicates import CODES
from services.preprocess.index import summary_of
from services.preprocess.parts import Store
from services.preprocess.pipeline import data_uri
from services.preprocess.statistics import Moments
from worker.task import Task

ShardKey = tuple[Split, int]


class VersionWithout:
    """A dataset version without some rows of its index; files lie in `folder` and are stored with `store`.

    A row is removed from its shard, so the rows after it move up, and a shard without rows is left out. The mean and
    the standard deviation stay: models were trained with them.
    """

    def __init__(self, task: Task, manifest: DatasetManifest, images: Sequence[IndexedImage], store: Store) -> None:
        self._task = task
        self._manifest = manifest
        self._images = images
        self._store = store
        self._removed = Moments()  # of the training pixels
        self._rows: dict[ShardKey, list[int]] = {}
        for image in images:
            self._rows.setdefault((image.record.split, image.record.shard), []).append(image.record.row)

    def made(self, index: Path) -> DatasetManifest:
        """Return the manifest; `index` is the file of the version's index, and is overwritten."""
        shards = {split: tuple(self._shards(split)) for split in Split}
        table = self._index(read_index(index))
        with IndexWriter(index) as writer:
            writer.add(table)
        data_sha256, duplicates = summary_of(index)
        manifest = self._manifest
        counts = self._counts()
        changes: dict[str, Any] = {
            "shards": shards,
            "index": self._store(index),
            "data_sha256": manifest.data_sha256 and data_sha256,
            "counts": Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
            "counts_by_class": counts,
            "thumbnails": tuple(self._thumbnails(table, shards)),
            "warnings": (*self._warnings(), *duplicates),
            "erased": manifest.erased + len(self._images),
        }
        if manifest.moments is not None:
            changes["moments"] = PixelSums(**dict(Moments(**dict(manifest.moments)) - self._removed))
        return manifest.model_copy(update=changes)

    def _shards(self, split: Split) -> Iterator[Shard]:
        for number, shard in enumerate(self._manifest.shards.get(split, ())):
            rows = self._rows.get((split, number))
            if rows is None:
                yield shard
                continue
            images = self._fetched(shard.images)
            if split is Split.TRAIN:
                self._removed += Moments.of(images[rows])
            if len(rows) < shard.count:
                name, labels = f"{split}-{number:05d}", self._fetched(shard.labels)
                kept = {"images": np.delete(images, rows, axis=0), "labels": np.delete(labels, rows, axis=0)}
                paths = {kind: self._task.folder / f"{name}.{kind}.npy" for kind in kept}
                files = {kind: stored(paths[kind], array, self._store) for kind, array in kept.items()}
                yield Shard(count=shard.count - len(rows), **files)

    def _fetched(self, reference: ObjectRef) -> NDArray[Any]:
        self._task.report(0.0, "removing the image from the prepared ones")
        return fetched(self._task, reference)

    def _index(self, table: pa.Table) -> pa.Table:
        """Return the index without the rows, and with the numbers that the others have now."""
        splits = table["split"].cast(pa.string()).to_numpy(zero_copy_only=False)
        shard, row = (table[name].to_numpy().copy() for name in ("shard", "row"))
        kept = np.ones(len(table), bool)
        numbers = shard.copy()
        for (split, number), removed in self._rows.items():
            inside = (splits == split.value) & (shard == number)
            kept[inside & np.isin(row, removed)] = False
            row[inside] -= np.searchsorted(np.sort(removed), row[inside]).astype(row.dtype)
            if len(removed) == self._manifest.shards[split][number].count:
                numbers[(splits == split.value) & (shard > number)] -= 1
        for name, values in (("shard", numbers), ("row", row)):
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.int32()))
        return table.filter(pa.array(kept))

    def _counts(self) -> dict[Split, dict[str, int]]:
        counts = {split: dict(self._manifest.counts_by_class.get(split, {})) for split in Split}
        for image in self._images:
            counts[image.record.split][image.record.label] -= 1
        return counts

    def _thumbnails(self, table: pa.Table, shards: dict[Split, tuple[Shard, ...]]) -> Iterator[Thumbnail]:
        """Make the thumbnails of the image's classes anew, since one of them may show it."""
        labels = {image.record.label for image in self._images}
        for thumbnail in self._manifest.thumbnails:
            if thumbnail.label not in labels:
                yield thumbnail
                continue
            rows = table.filter(pc.equal(table["label"].cast(pa.string()), thumbnail.label))
            if len(rows):
                yield first_thumbnail(self._task, rows, shards, thumbnail.label)

    def _warnings(self) -> Iterator[DatasetWarning]:
        """Yield the warnings but for those of equal images, without the paths of the image."""
        paths = {shown(image.record.path) for image in self._images}
        for warning in self._manifest.warnings:
            if warning.code not in CODES:
                examples = tuple(example for example in warning.examples if example not in paths)
                yield warning.model_copy(update={"examples": examples})


def fetched(task: Task, reference: ObjectRef) -> NDArray[Any]:
    """Return a stored array."""
    path = task.folder / "array.npy"
    task.objects.fetch(reference, path)
    array: NDArray[Any] = np.load(path)
    path.unlink()
    return array


def stored(path: Path, array: NDArray[Any], store: Store) -> ObjectRef:
    """Store an array through a file."""
    np.save(path, array)
    reference = store(path)
    path.unlink()
    return reference


def first_thumbnail(task: Task, rows: pa.Table, shards: Mapping[Split, Sequence[Shard]], label: str) -> Thumbnail:
    """Return the thumbnail of a class: that of the first of its rows of an index."""
    first = rows.slice(0, 1).to_pylist()[0]
    shard = shards[Split(first["split"])][first["shard"]]
    return Thumbnail(label=label, image=data_uri(fetched(task, shard.images)[first["row"]]))
