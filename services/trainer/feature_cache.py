"""Features that an earlier training of the dataset has computed, by the hash of the image.

Features are rounded to float16, in the file and in use, so that a cached feature equals a computed one.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.images import Preprocessing
from contract.training import FeatureFile
from services.trainer.probe import Matrix
from worker.task import Task

MOST = 50_000  # images in a file: 128 MB of features of lite0

Hashes = NDArray[np.bytes_]  # SHA-256 digests, 32 bytes each


def features_key(network: str, preprocessing: Preprocessing) -> str:
    """Return the key of the features that a network computes from images prepared like this."""
    return hashlib.sha256(f"{network}\0{preprocessing.model_dump_json()}".encode()).hexdigest()[:32]


class FeatureCache:
    """The cached features of a dataset; empty if there are none yet.

    `others` are files of other trials of the same search, the last of which may have what the dataset's file lacks.
    """

    def __init__(self, task: Task, dataset: str, key: str, others: Sequence[FeatureFile] = ()) -> None:
        self._task = task
        self._key = key
        self._changed = False
        self._rows = self._fetched(task.datasets.features(dataset, key))
        # Apart, so that `save` keeps only those that are asked for: since then, images may have been erased.
        self._others = self._fetched(next((file.file for file in reversed(others) if file.key == key), None))

    def _fetched(self, stored: ObjectRef | None) -> dict[bytes, NDArray[np.float16]]:
        """Return the features in a file by the hash of the image, or none."""
        if stored is None:
            return {}
        path = self._task.folder / "features.npz"
        self._task.objects.fetch(stored, path)
        with np.load(path) as arrays:
            return dict(zip(arrays["hashes"].view("V32").ravel().tolist(), arrays["features"], strict=True))

    def complete(self, hashes: list[bytes], compute: Callable[[NDArray[np.int64]], Matrix]) -> Matrix:
        """Return the features of images with these hashes; `compute` gives those at the positions that are missing."""
        reused = {digest: self._others[digest] for digest in self._others.keys() & set(hashes) - self._rows.keys()}
        self._rows |= reused
        self._changed = self._changed or bool(reused)
        missing = np.array([number for number, digest in enumerate(hashes) if digest not in self._rows], np.int64)
        if len(missing):
            rows = compute(missing).astype(np.float16)
            self._rows |= {hashes[number]: row for number, row in zip(missing.tolist(), rows, strict=True)}
            self._changed = True
        return np.stack([self._rows[digest] for digest in hashes]).astype(np.float32)

    def save(self) -> FeatureFile | None:
        """Store the newest MOST features as an artifact; None if nothing is new."""
        if not self._changed:
            return None
        newest = list(self._rows)[-MOST:]
        path: Path = self._task.folder / "features-new.npz"
        hashes = np.frombuffer(b"".join(newest), np.uint8).reshape(-1, 32)
        np.savez(path, hashes=hashes, features=np.stack([self._rows[digest] for digest in newest]))
        return FeatureFile(key=self._key, file=self._task.put("features.npz", path))
