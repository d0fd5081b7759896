"""Prepares archives to datasets without a job."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract.artifacts import Bucket, ObjectRef
from contract.datasets import DatasetManifest, Split, SplitSpec
from contract.image_index import ImageRecord
from contract.images import ImageRequest
from contract.kinds.preprocess import PreprocessSpec
from contract.references import UploadSource
from media.archives.limits import Limits
from media.image_index import read_index, records
from services.preprocess.parts import merge_parts
from services.preprocess.pipeline import OnStep, prepare
from services.preprocess.plan import plan_dataset
from services.storage.memory_objects import MemoryObjects
from tests.support.images import Files, zipped
from worker.members import Members
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
        plan = plan_dataset(path, spec, limits)
        parts = []
        for part in sliced(len(plan.rows), most).parts:
            span = Slice.model_validate(part)
            members = Members.of_file(plan.rows.slice(span.start, len(span)), path, limits)
            parts.append(prepare(plan.head, members, self._new_folder(), self._store, on_step))
        return merge_parts(plan.head, parts, self._new_folder(), self._objects.fetch, self._store, limits)

    def index(self, data: DatasetManifest) -> tuple[ImageRecord, ...]:
        """Return the rows of the dataset's index."""
        assert data.index is not None
        return records(read_index(io.BytesIO(self._objects.read(data.index))))

    def load(self, data: DatasetManifest, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Load all images (n, channels, height, width) and labels (n,) of a split."""
        images, labels = zip(*self.shards(data, split), strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def shards(self, data: DatasetManifest, split: Split) -> list[tuple[np.ndarray, np.ndarray]]:
        """Load the images and labels of each shard of a split."""
        return [
            (
                np.load(io.BytesIO(self._objects.read(shard.images))),
                np.load(io.BytesIO(self._objects.read(shard.labels))),
            )
            for shard in data.shards[split]
        ]

    def _new_folder(self) -> Path:
        folder = self._folder / str(len(list(self._folder.iterdir())))
        folder.mkdir()
        return folder

    def _store(self, file: Path) -> ObjectRef:
        return self._objects.put(Bucket.JOBS, str(file), file)
