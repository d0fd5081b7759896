"""What every process of a training needs: how to train, and the state to go on from."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contract.base import Frozen
from contract.datasets import DatasetManifest, Split
from contract.kinds.train import Replicas
from services.trainer.checkpoint import Checkpoint, Weights
from services.trainer.data import IndexedImages, MemoryImages, ShardedImages, TrainingData, numbers, shrunk
from services.trainer.network import Blueprint, Network
from services.trainer.recipe import Recipe


class Terms(Frozen):
    """What does not change during a training; `shape` is that of the images before they are shrunk.

    `dataset` is the reference of its version, and `data` the `digest` of its images: one may be erased while a
    training runs, and all processes must have the same.
    """

    recipe: Recipe
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shards: int
    timeout_s: float
    dataset: str
    data: str
    replicas: Replicas
    blueprint: Blueprint | None = None


@dataclass(frozen=True)
class Plan:
    """The terms, the weights that the training starts from if it has any, and its last checkpoint."""

    terms: Terms
    start: Weights | None = None
    checkpoint: bytes | None = None

    def to_bytes(self) -> bytes:
        """Serialize with torch.save."""
        buffer = io.BytesIO()
        torch.save({"terms": self.terms.model_dump_json(), "start": self.start, "checkpoint": self.checkpoint}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Plan":
        """Read the output of `to_bytes`; raises pickle.UnpicklingError if it contains code."""
        fields: dict[str, Any] = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        return cls(**fields | {"terms": Terms.model_validate_json(fields["terms"])})

    @property
    def last(self) -> Checkpoint | None:
        return Checkpoint.from_bytes(self.checkpoint) if self.checkpoint else None

    @property
    def network(self) -> Network | None:
        """The network that the training starts from, None if its weights are drawn from the seed."""
        if self.terms.blueprint is None or self.start is None:
            return None
        network = self.terms.blueprint.build()
        network.load_state_dict(self.start)
        return network


def digest(dataset: DatasetManifest) -> str:
    """Return a hash of the images that a training reads."""
    read = (Split.TRAIN, Split.VAL)
    hashes = [(split, shard.images.sha256, shard.labels.sha256) for split in read for shard in dataset.shards[split]]
    return hashlib.sha256(repr(hashes).encode()).hexdigest()


def open_data(folder: Path, terms: Terms) -> TrainingData:
    """Open the images that `fetch` has written to the folder; they are shrunk once, for all rounds."""
    index = folder / "index.parquet"
    data = TrainingData(
        train=_images(folder, Split.TRAIN, terms.recipe.shrink),
        val=_images(folder, Split.VAL, terms.recipe.shrink),
        shape=terms.shape,
        classes=terms.classes,
        mean=terms.mean,
        std=terms.std,
        describe=IndexedImages(index).describe if index.exists() else numbers,
    )
    return data.reshaped(terms.recipe.shrink)


def _images(folder: Path, split: Split, shrink: int) -> ShardedImages:
    count = len(list(folder.glob(f"{split}-*-images.npy")))
    whole = ShardedImages(
        [(folder / f"{split}-{n}-images.npy", folder / f"{split}-{n}-labels.npy") for n in range(count)]
    )
    if shrink == 1 or not len(whole):
        return whole
    path = folder / f"shrunk-{split}-{shrink}.npy"
    if not path.exists():
        written = path.with_suffix(".part.npy")
        np.save(written, shrunk(whole, shrink).take(np.arange(len(whole)))[0].numpy())
        written.rename(path)
    return MemoryImages(np.asarray(np.load(path, mmap_mode="r")), whole.labels)
