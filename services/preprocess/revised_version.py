"""Makes a dataset version from another one whose images have other labels, and with added images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.datasets import (
    Counts,
    DatasetManifest,
    DatasetWarning,
    OriginalFiles,
    PixelSums,
    Shard,
    Split,
)
from contract.errors import BadDataset
from contract.image_index import SOURCE
from media.archives.rejections import Rejections, shown
from media.image_index import read_index
from services.preprocess.class_warnings import CLASS_CODES, class_warnings
from services.preprocess.duplicates import CODES
from services.preprocess.erased_version import completed, fetched, stored, text_of
from services.preprocess.parts import PreparedPart, Store, add_file_warnings
from services.preprocess.statistics import Moments
from services.preprocess.warnings import Warnings
from worker.task import Task

Shards = Mapping[Split, tuple[Shard, ...]]


class RevisedVersion:
    """A version with other labels for some rows of its index, and with the images of a prepared part.

    A file of labels is written anew if one of its labels or the number of a class changes. Added images lie in shards
    of their own, after the others.
    """

    def __init__(
        self, task: Task, manifest: DatasetManifest, labels: Mapping[int, str], classes: Sequence[str], store: Store
    ) -> None:
        """`labels` are the new ones of some rows of the index, `classes` all that the new version has."""
        self._task = task
        self._manifest = manifest
        self._labels = labels
        self._classes = tuple(classes)
        self._store = store

    def made(
        self,
        before: pa.Table,
        index: Path,
        part: PreparedPart | None,
        originals: Sequence[OriginalFiles],
        *,
        removed: bool,
    ) -> DatasetManifest:
        """Return the manifest; `before` are the rows of the version's index, the new ones are written to `index`.

        The part's images are those of the last of `originals`; `removed` says that training images were taken out.
        Raise BadDataset if a class or the training split has no image.
        """
        table = self._relabelled(before)
        shards, counts = self._relabelled_shards(before), self._counts(before)
        if part is not None:
            table = self._extended(table, part, shards, len(originals) - 1)
            shards = {split: (*shards[split], *part.shards[split]) for split in Split}
            for split, by_class in part.counts_by_class.items():
                counts[split] = {label: count + by_class[label] for label, count in counts[split].items()}
        self._check(counts)
        left = set(self._rows(before, "label")["label"].to_pylist())  # whose thumbnails may show an image that has left
        changes: dict[str, Any] = {
            "classes": self._classes,
            "counts": Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
            "counts_by_class": counts,
            "shards": shards,
            "thumbnails": tuple(one for one in self._manifest.thumbnails if one.label not in left),
            "warnings": self._warnings(counts, part),
            "originals": tuple(originals),
            "erased": 0,
        }
        changes |= self._statistics(shards, part, removed) | self._rejected(part)
        manifest = self._manifest.model_copy(update=changes)
        return completed(self._task, manifest, table, index, self._store)

    def _relabelled(self, table: pa.Table) -> pa.Table:
        """Return the index with the new labels."""
        if self._labels:
            rows = np.array(sorted(self._labels), np.int64)
            mask = np.zeros(len(table), bool)
            mask[rows] = True
            texts = pa.array([self._labels[row] for row in rows.tolist()], pa.string())
            labels = pc.replace_with_mask(text_of(table["label"]), pa.array(mask), texts).dictionary_encode()
            table = table.set_column(table.schema.get_field_index("label"), "label", labels)
        return table

    def _relabelled_shards(self, index: pa.Table) -> dict[Split, tuple[Shard, ...]]:
        """Return the shards with the new labels; the index may lack images, so labels are those of the shards."""
        rows = self._rows(index, "split", "shard", "row").to_pylist()
        places = [(row["split"], row["shard"], row["row"]) for row in rows]
        by_shard: dict[tuple[str, int], dict[int, int]] = {}
        numbers = {label: number for number, label in enumerate(self._classes)}
        for (split, shard, row), (_, label) in zip(places, sorted(self._labels.items()), strict=True):
            by_shard.setdefault((split, shard), {})[row] = numbers[label]
        renumbered = np.array([numbers.get(label, -1) for label in self._manifest.classes], np.int64)
        same = self._classes[: len(renumbered)] == self._manifest.classes
        shards = {}
        for split in Split:
            made = list(self._manifest.shards.get(split, ()))
            for number, shard in enumerate(made):
                changed = by_shard.get((split.value, number), {})
                if changed or not same:
                    self._task.report(0.5, "writing labels")
                    labels = renumbered[fetched(self._task, shard.labels)]
                    labels[list(changed)] = list(changed.values())
                    path = self._task.folder / f"{split}-{number:05d}.labels.npy"
                    made[number] = shard.model_copy(update={"labels": stored(path, labels, self._store)})
            shards[split] = tuple(made)
        return shards

    def _rows(self, index: pa.Table, *columns: str) -> pa.Table:
        """Return some columns of the rows that get a new label, in order."""
        return index.select(list(columns)).take(pa.array(sorted(self._labels), pa.int64()))

    def _counts(self, index: pa.Table) -> dict[Split, dict[str, int]]:
        before = self._manifest.counts_by_class
        counts = {split: dict(before.get(split, {})) for split in Split}
        for by_class in counts.values():
            for label in self._classes:
                by_class.setdefault(label, 0)
        rows = self._rows(index, "split", "label").to_pylist()
        for row, (_, label) in zip(rows, sorted(self._labels.items()), strict=True):
            counts[Split(row["split"])][row["label"]] -= 1
            counts[Split(row["split"])][label] += 1
        return {split: {label: counts[split][label] for label in self._classes} for split in Split}

    def _extended(self, table: pa.Table, part: PreparedPart, shards: Shards, source: int) -> pa.Table:
        """Return the index with the rows of the part, whose shards follow the others of their split."""
        path = self._task.folder / "added.parquet"
        self._task.objects.fetch(part.index, path)
        added = read_index(path)
        path.unlink()
        split = text_of(added["split"]).to_pylist()
        before = np.array([len(shards[Split(name)]) for name in split], np.int32)
        numbers = pa.array(added["shard"].to_numpy() + before, pa.int32())
        added = added.set_column(added.schema.get_field_index("shard"), "shard", numbers)
        sources = pa.array(np.full(len(added), source, np.int16))
        added = added.set_column(added.schema.get_field_index(SOURCE), SOURCE, sources)
        tables = []
        for name in Split:
            tables += [rows.filter(pc.equal(text_of(rows["split"]), name.value)) for rows in (table, added)]
        return pa.concat_tables([rows.cast(added.schema) for rows in tables]).unify_dictionaries()

    def _check(self, counts: Mapping[Split, Mapping[str, int]]) -> None:
        if not any(counts[Split.TRAIN].values()):
            raise BadDataset("the new version would have no training image; keep or add some")
        for label in self._classes:
            known = label in self._manifest.classes
            if not known and not any(by_class[label] for by_class in counts.values()):
                raise BadDataset(f"no image of the new class {shown(label)!r} can be used")

    def _statistics(self, shards: Shards, part: PreparedPart | None, removed: bool) -> dict[str, Any]:
        """Return mean, standard deviation and sums of the training pixels, which are read if the sums are not known."""
        manifest = self._manifest
        added = part is not None and part.moments.count
        if manifest.moments is None and not (added or removed):
            return {}
        if manifest.moments is None:
            moments = Moments()
            for shard in shards[Split.TRAIN]:
                self._task.report(0.8, "measuring the training images")
                moments += Moments.of(fetched(self._task, shard.images))
        else:
            moments = Moments(**dict(manifest.moments)) + (part.moments if part is not None else Moments())
        mean, std = moments.mean_and_std()
        return {"mean": mean, "std": std, "moments": PixelSums(**dict(moments))}

    def _warnings(
        self, counts: Mapping[Split, Mapping[str, int]], part: PreparedPart | None
    ) -> tuple[DatasetWarning, ...]:
        warnings = Warnings()
        warnings.merge(one for one in self._manifest.warnings if one.code not in CODES | CLASS_CODES)
        warnings.merge(class_warnings(counts))
        add_file_warnings(warnings, [part] if part is not None else [])
        return warnings.all

    def _rejected(self, part: PreparedPart | None) -> dict[str, Any]:
        if part is None:
            return {}
        rejections = Rejections()
        rejections.merge(self._manifest.rejected, self._manifest.rejected_files)
        rejections.merge(part.rejected, part.rejected_files)
        return {"rejected": len(rejections), "rejected_files": rejections.first()}
