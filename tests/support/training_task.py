"""A training job's task with everything in memory."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from contract.artifacts import Bucket, ObjectRef
from contract.backbones import BackboneManifest
from contract.datasets import Counts, DatasetManifest, Shard, Split
from contract.images import ImageSpec
from contract.jobs import Job, JobKind, JobState, Progress
from contract.references import Reference
from contract.training import FeatureFile, ModelManifest
from media.image_index import PLACE, IndexWriter
from services.storage.memory_objects import MemoryObjects
from tests.support.training_data import MEAN, STD, separable, spec_of, stored, train_spec

CLASSES = ("ant", "bee", "cat")
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


class Models:
    """The models that a task has published, by name."""

    def __init__(self) -> None:
        self.published: dict[str, ModelManifest] = {}

    def manifest(self, reference: Reference) -> tuple[Reference, ModelManifest]:
        return Reference(name=reference.name, version=1), self.published[reference.name]


class Backbones:
    """The backbones that people have brought, by name."""

    def __init__(self) -> None:
        self.brought: dict[str, BackboneManifest] = {}

    def known(self, name: str) -> bool:
        return name in self.brought

    def manifest(self, reference: Reference) -> tuple[Reference, BackboneManifest]:
        return Reference(name=reference.name, version=1), self.brought[reference.name]


class MemoryTask:
    """A task with everything in memory."""

    def __init__(
        self,
        folder: Path,
        val: int = 30,
        auto: bool = False,
        shards: int = 2,
        shape: tuple[int, int, int] = (3, 8, 8),
        **spec: Any,
    ) -> None:
        self.folder = folder
        self._shard_count, self._shape = shards, shape
        self.objects = MemoryObjects()
        self.datasets = self
        self.models = Models()
        self.backbones = Backbones()
        self.stop_early = False
        self.job = Job(
            id="job-1",
            kind=JobKind.TRAIN,
            state=JobState.RUNNING,
            spec=(spec_of if auto else train_spec)(dataset="bugs", **spec).model_dump(mode="json"),
            progress=Progress(),
            priority=0,
            attempt=1,
            max_attempts=3,
            result=None,
            error=None,
            created_at=CREATED,
            started_at=CREATED,
            finished_at=None,
            deadline_at=None,
        )
        self.checkpoint: ObjectRef | None = None
        self.cached: dict[str, FeatureFile] = {}
        self.reports: list[tuple[float, str]] = []
        self.reported: list[Any] = []
        self.offered: list[tuple[str, int, int]] = []
        self.ready = frozenset[str]()
        self.others_wait = False
        self.logs: list[str] = []
        self.counts = Counts(train=60, val=val, test=12)
        self._manifest = DatasetManifest(
            classes=CLASSES,
            image=ImageSpec(size=shape[1:], mode="L" if shape[0] == 1 else "RGB"),
            mean=(MEAN,) * shape[0],
            std=(STD,) * shape[0],
            counts=self.counts,
            counts_by_class={},
            shards={split: self._shards(split, getattr(self.counts, split)) for split in Split},
            rejected=0,
            rejected_files=(),
            thumbnails=(),
            index=self._index() if auto else None,
        )

    def check_stop(self) -> None:
        """Nobody asks it to stop."""

    def log(self, message: str) -> None:
        self.logs.append(message)

    def offer_seats(self, endpoint: str, generation: int, count: int) -> str:
        self.offered.append((endpoint, generation, count))
        return f"{self.job.id}:1:{generation}"

    def ready_seats(self) -> frozenset[str]:
        return self.ready

    def contended(self) -> bool:
        return self.others_wait

    def withdraw_seats(self) -> None:
        self.offered.clear()

    def _index(self) -> ObjectRef:
        """An index in which every image has a hash and a path of its own."""
        rows = [
            (number.to_bytes(32, "big"), f"{split}/{row}.jpg", split.value)
            for start, split in enumerate(Split)
            for row in range(getattr(self.counts, split))
            for number in [start * 1000 + row]
        ]
        columns = dict(zip(("sha256", "path", "split"), map(list, zip(*rows, strict=True)), strict=True))
        blank = {
            name: [0] * len(rows) for name in ("width", "height", "shard", "row", "average_hash", "difference_hash")
        }
        texts = {name: [""] * len(rows) for name in ("label", "member")}
        with IndexWriter(self.folder / "made-index.parquet") as writer:
            table = pa.table(columns | blank | texts)
            for field in PLACE:
                table = table.append_column(field, pa.nulls(len(table), field.type))
            writer.add(table)
        return self.put("index.parquet", self.folder / "made-index.parquet")

    def features(self, dataset: str, key: str) -> ObjectRef | None:
        cached = self.cached.get(f"{dataset}/{key}")
        return cached.file if cached else None

    def _shards(self, split: Split, count: int) -> tuple[Shard, ...]:
        if not count:
            return ()
        files = stored(
            self.folder,
            f"made-{split}",
            *separable(count, shape=self._shape, seed=len(split)),
            shards=self._shard_count,
        )
        return tuple(
            Shard(
                count=count // self._shard_count,
                images=self.put(images.name, images),
                labels=self.put(labels.name, labels),
            )
            for images, labels in files
        )

    def manifest(self, reference: Reference) -> tuple[Reference, DatasetManifest]:
        return Reference(name=reference.name, version=7), self._manifest

    def report(self, fraction: float, message: str) -> None:
        self.reports.append((fraction, message))

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        return self.objects.put(Bucket.JOBS, name, source)

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        self.checkpoint = self.put(name, source)
        self.reported.append(metrics)
        self.after_checkpoint()

    def after_checkpoint(self) -> None:
        """Hook for tests; does nothing by default."""
