"""Makes a dataset version anew without some images: shards, index, counts, thumbnails and warnings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.datasets import Counts, DatasetManifest, DatasetWarning, PixelSums, Shard, Split, Thumbnail
from contract.image_index import ImageRecord
from media.archives.rejections import shown
from media.image_index import IndexWriter
from services.preprocess.duplicates import CODES
from services.preprocess.index import summary_of
from services.preprocess.parts import Store
from services.preprocess.pipeline import MOST_THUMBNAILS, data_uri
from services.preprocess.statistics import Moments
from worker.task import Task

ShardKey = tuple[Split, int]


class VersionWithout:
    """A dataset version without some of its images; new files are stored with `store`.

    A row is removed from its shard, so the rows after it move up, and a shard without rows is left out. The mean and
    the standard deviation stay: models were trained with them.
    """

    def __init__(self, task: Task, manifest: DatasetManifest, images: Sequence[ImageRecord], store: Store) -> None:
        self._task = task
        self._manifest = manifest
        self._images = images
        self._store = store
        self._removed = Moments()  # of the training pixels
        self._rows: dict[ShardKey, list[int]] = {}
        for image in images:
            self._rows.setdefault((image.split, image.shard), []).append(image.row)

    def made(self, table: pa.Table) -> tuple[DatasetManifest, pa.Table]:
        """Return the manifest and the rows of the index, from those that the version has; `completed` does the rest.

        The thumbnails of classes that lose an image are left out, since one of them may show it.
        """
        shards = {split: tuple(self._shards(split)) for split in Split}
        manifest, counts = self._manifest, self._counts()
        labels = {image.label for image in self._images}
        changes: dict[str, Any] = {
            "shards": shards,
            "counts": Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
            "counts_by_class": counts,
            "thumbnails": tuple(one for one in manifest.thumbnails if one.label not in labels),
            "warnings": tuple(self._warnings()),
            "erased": manifest.erased + len(self._images),
        }
        if manifest.moments is not None:
            changes["moments"] = PixelSums(**dict(Moments(**dict(manifest.moments)) - self._removed))
        return manifest.model_copy(update=changes), self._index(table)

    def _shards(self, split: Split) -> Iterator[Shard]:
        measured = split is Split.TRAIN and self._manifest.moments is not None
        for number, shard in enumerate(self._manifest.shards.get(split, ())):
            rows = self._rows.get((split, number))
            if rows is None:
                yield shard
                continue
            left = shard.count - len(rows)
            if not (left or measured):
                continue
            images = self._fetched(shard.images)
            if measured:
                self._removed += Moments.of(images[rows])
            if left:
                name, labels = f"{split}-{number:05d}", self._fetched(shard.labels)
                kept = {"images": np.delete(images, rows, axis=0), "labels": np.delete(labels, rows, axis=0)}
                paths = {kind: self._task.folder / f"{name}.{kind}.npy" for kind in kept}
                files = {kind: stored(paths[kind], array, self._store) for kind, array in kept.items()}
                yield Shard(count=left, **files)

    def _fetched(self, reference: ObjectRef) -> NDArray[Any]:
        self._task.report(0.0, "removing images from the prepared ones")
        return fetched(self._task, reference)

    def _index(self, table: pa.Table) -> pa.Table:
        """Return the index without the rows, and with the numbers that the others have now."""
        splits = text_of(table["split"]).to_numpy(zero_copy_only=False)
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
            counts[image.split][image.label] -= 1
        return counts

    def _warnings(self) -> Iterator[DatasetWarning]:
        """Yield the warnings, except those of equal images, without the paths of the removed images."""
        paths = {shown(image.path) for image in self._images}
        for warning in self._manifest.warnings:
            if warning.code not in CODES:
                examples = tuple(example for example in warning.examples if example not in paths)
                yield warning.model_copy(update={"examples": examples})


def completed(task: Task, manifest: DatasetManifest, table: pa.Table, path: Path, store: Store) -> DatasetManifest:
    """Return a manifest with what follows from the rows of its index, which is written to `path` and stored.

    That is the hash of the data, the warnings of equal images, and thumbnails for classes without one.
    """
    with IndexWriter(path) as writer:
        writer.add(table)
    data_sha256, duplicates = summary_of(path)
    changes = {
        "index": store(path),
        "data_sha256": manifest.data_sha256 and data_sha256,
        "thumbnails": _thumbnails(task, manifest, table),
        "warnings": (*manifest.warnings, *duplicates),
    }
    return manifest.model_copy(update=changes)


def _thumbnails(task: Task, manifest: DatasetManifest, table: pa.Table) -> tuple[Thumbnail, ...]:
    """Return the thumbnails of the first classes; one that is missing is made of the first image of its class."""
    known = {thumbnail.label: thumbnail for thumbnail in manifest.thumbnails}
    classes = manifest.classes[:MOST_THUMBNAILS]
    labels, places = text_of(table["label"]), table.select(["split", "shard", "row"])
    rows: dict[ShardKey, dict[str, int]] = {}
    for label in classes:
        if label not in known and (first := labels.index(label).as_py()) >= 0:
            (place,) = places.slice(first, 1).to_pylist()
            rows.setdefault((Split(place["split"]), place["shard"]), {})[label] = place["row"]
    for (split, number), first_rows in rows.items():
        images = fetched(task, manifest.shards[split][number].images)
        known |= {label: Thumbnail(label=label, image=data_uri(images[row])) for label, row in first_rows.items()}
    return tuple(known[label] for label in classes if label in known)


def text_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts without its dictionary."""
    return column.cast(pa.string())


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
