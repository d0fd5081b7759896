"""Publishes a tiny model and a dataset split for batch predictions."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Counts, Shard, Split
from contract.images import ImageSpec
from contract.models import ModelCard
from media.image_index import SCHEMA, IndexWriter
from services.storage.objects import Objects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.onnx_models import CARD, linear
from tests.support.publication import publish

WEIGHTS = np.random.default_rng(1).normal(0, 0.1, (144, 3)).astype(np.float32)


def publish_model(stores: Stores, card: ModelCard = CARD, weights: NDArray[np.float32] = WEIGHTS) -> None:
    """Publish the linear model as pet-cnn@1."""
    artifact = stores.objects.put(Bucket.JOBS, "trained/attempts/1/model.onnx", linear(card, weights))
    manifest = {"artifact": artifact, "labels": card.labels, "preprocessing": card.preprocessing}
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update=manifest))


def publish_split(
    stores: Stores,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...] = CARD.labels,
    image: ImageSpec = CARD.preprocessing.image,
    shards: int = 2,
    index: Sequence[int] | None = None,
) -> None:
    """Publish images (n, channels, height, width) and class numbers (n,) as the test split of pets@1.

    `index` are the numbers of the images that have a row in the index, as `07.png` with a hash of 7.
    """
    stored = stored_shards(stores.objects, images, labels, shards)
    manifest = {
        "classes": classes,
        "image": image,
        "counts": Counts(train=0, val=0, test=len(images)),
        "index": None if index is None else _stored_index(stores.objects, stored, index),
        "shards": {Split.TRAIN: (), Split.VAL: (), Split.TEST: stored},
    }
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update=manifest))


def stored_shards(
    objects: Objects, images: NDArray[np.uint8], labels: NDArray[np.int64], count: int, folder: str = "prepared"
) -> tuple[Shard, ...]:
    def put(name: str, array: NDArray[np.generic]) -> ObjectRef:
        file = io.BytesIO()
        np.save(file, array)
        return objects.put(Bucket.JOBS, f"{folder}/attempts/1/{name}", file.getvalue())

    shards = zip(np.array_split(images, count), np.array_split(labels, count), strict=True)
    return tuple(
        Shard(count=len(part), images=put(f"images-{number}", part), labels=put(f"labels-{number}", part_labels))
        for number, (part, part_labels) in enumerate(shards)
    )


def _stored_index(objects: Objects, shards: tuple[Shard, ...], numbers: Sequence[int]) -> ObjectRef:
    places = [(shard, row) for shard, stored in enumerate(shards) for row in range(stored.count)]
    rows = [
        {
            "sha256": number.to_bytes(32, "big"),
            "path": f"{number:02d}.png",
            "split": "test",
            "shard": places[number][0],
            "row": places[number][1],
        }
        for number in numbers
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.parquet"
        with IndexWriter(path) as writer:
            writer.add(pa.Table.from_pylist(rows, SCHEMA))
        return objects.put(Bucket.JOBS, "prepared/attempts/1/index.parquet", path)


def fetch(objects: Objects, ref: ObjectRef, path: Path) -> Path:
    """Download an object to a file."""
    objects.fetch(ref, path)
    return path
