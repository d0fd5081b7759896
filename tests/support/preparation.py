"""Prepares archives to datasets without a job."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract.artifacts import Bucket
from contract.datasets import DatasetManifest, Shard, Split, SplitSpec
from contract.images import ImageRequest, ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from contract.references import UploadSource
from media.archives.limits import Limits
from services.preprocess.parts import merge_parts
from services.preprocess.pipeline import OnStep, opened
from services.preprocess.shards import ShardFile
from services.storage.memory_objects import MemoryObjects
from tests.support.images import Files, zipped
from worker.slicing import Slice, sliced

SPEC = PreprocessSpec(
    dataset="pets",
    source=UploadSource(upload="1"),
    image=ImageRequest(size=(8, 8), mode="RGB", resize="stretch"),
    split=SplitSpec(seed=1),
)
DEFAULT = Limits()

Prepare = Callable[..., DatasetManifest]
Load = Callable[[DatasetManifest, Split], tuple[np.ndarray, np.ndarray]]


class Workshop:
    """Prepares files, each time in a new folder, and loads the resulting dataset."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = MemoryObjects()

    def prepare(
        self,
        files: Files,
        spec: PreprocessSpec = SPEC,
        limits: Limits = DEFAULT,
        on_step: OnStep = lambda *_: None,
        most: int = 10_000,
    ) -> DatasetManifest:
        """Prepare a zip of the files in parts of at most `most` images."""
        path = zipped(self._new_folder() / "upload.zip", files)
        with opened(path, spec, limits) as preparation:
            slices = sliced(len(preparation.whole), most).parts
        parts = []
        for item in slices:  # each opens the archive again, like another replica
            with opened(path, spec, limits) as preparation:
                parts.append(preparation.prepare(Slice.model_validate(item), self._new_folder(), self._store, on_step))
        return merge_parts(parts, spec.image.spec or ImageSpec(), limits)

    def load(self, data: DatasetManifest, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Load all images (n, channels, height, width) and labels (n,) of a split."""
        shards = data.shards[split]
        images = [np.load(io.BytesIO(self._objects.read(shard.images))) for shard in shards]
        labels = [np.load(io.BytesIO(self._objects.read(shard.labels))) for shard in shards]
        return np.concatenate(images), np.concatenate(labels)

    def _new_folder(self) -> Path:
        folder = self._folder / str(len(list(self._folder.iterdir())))
        folder.mkdir()
        return folder

    def _store(self, file: ShardFile) -> Shard:
        images, labels = (self._objects.put(Bucket.JOBS, str(path), path) for path in (file.images, file.labels))
        return Shard(count=file.count, images=images, labels=labels)
