"""A training job's task on local files, without servers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.training.data import Arrays
from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Counts, DatasetManifest, Shard, Split
from contract.images import ImageSpec
from contract.references import Reference
from services.storage.memory_objects import MemoryObjects


class LocalTask:
    """Holds a data set in memory and keeps what the training stores."""

    def __init__(self, folder: Path, arrays: Arrays, image: ImageSpec, spec: dict[str, Any]) -> None:
        self.folder = folder
        self.objects = MemoryObjects()
        self.datasets = self.models = self
        self.checkpoint: ObjectRef | None = None
        self.stop_early = False
        self.job = SimpleNamespace(spec={"dataset": "data", "model": "model"} | spec)
        pixels = arrays["train"][0][:: max(1, len(arrays["train"][0]) // 2000)].astype(np.float64) / 255
        self._manifest = DatasetManifest(
            classes=tuple(f"class {number}" for number in range(int(arrays["train"][1].max()) + 1)),
            image=image,
            mean=tuple(pixels.mean((0, 2, 3))),
            std=tuple(pixels.std((0, 2, 3))),
            counts=Counts(**{split: len(labels) for split, (_, labels) in arrays.items()}),
            counts_by_class={},
            shards={Split(split): (self._shard(split, *pair),) for split, pair in arrays.items()},
            rejected=0,
            rejected_files=(),
            thumbnails=(),
        )

    def _shard(self, split: str, images: Any, labels: Any) -> Shard:
        files = {}
        for name, array in (("images", images), ("labels", labels)):
            np.save(self.folder / f"made-{split}-{name}.npy", array)
            files[name] = self.put(f"{split}-{name}", self.folder / f"made-{split}-{name}.npy")
        return Shard(count=len(labels), **files)

    def manifest(self, reference: Reference) -> tuple[Reference, DatasetManifest]:
        return Reference(name=reference.name, version=1), self._manifest

    def features(self, _dataset: str, _key: str) -> None:
        return None

    def report(self, fraction: float, message: str) -> None:
        pass

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        return self.objects.put(Bucket.JOBS, name, source)

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        self.checkpoint = self.put(name, source)
