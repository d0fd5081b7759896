"""Publishes models and a dataset with splits, an index and originals, and runs evaluations."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Counts, Split
from contract.images import ImageSpec
from contract.jobs import Job, JobKind, JobState
from contract.kinds.evaluate import EvaluateRequest, EvaluateResult, EvaluateSpec
from contract.models import ModelCard
from contract.references import UploadSource
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from media.image_index import PLACE, SCHEMA, IndexWriter
from services.inference.judging.evaluate import evaluate
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.job_runs import run
from tests.support.onnx_models import CARD, linear
from tests.support.prediction_data import fetch, stored_shards
from tests.support.publication import publish

Splits = dict[Split, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def publish_network(
    stores: Stores, weights: NDArray[np.float32], card: ModelCard = CARD, dataset: str | None = None, **fields: Any
) -> str:
    """Publish a linear model as the next version of pet-cnn; returns its reference."""
    key = hashlib.sha256(weights.tobytes()).hexdigest()
    artifact = stores.objects.put(Bucket.JOBS, f"trained/attempts/1/{key}.onnx", linear(card, weights))
    manifest = {"artifact": artifact, "labels": card.labels, "preprocessing": card.preprocessing, "dataset": dataset}
    manifest |= {"variants": (), **fields}
    job = publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update=manifest))
    assert job.result
    return str(job.result["model"])


def publish_dataset(
    stores: Stores,
    splits: Splits,
    classes: tuple[str, ...] = CARD.labels,
    image: ImageSpec = CARD.preprocessing.image,
    index: ObjectRef | None = None,
    upload: str | None = None,
) -> None:
    """Publish images (n, channels, height, width) and class numbers (n,) by split as the next version of pets."""
    shards = {
        split: stored_shards(stores.objects, *splits[split], 2, split) if split in splits else () for split in Split
    }
    by_class = {
        split: {name: int((splits[split][1] == number).sum()) for number, name in enumerate(classes)}
        for split in splits
    }
    manifest = {
        "classes": classes,
        "image": image,
        "counts": Counts(**{split: len(splits[split][1]) if split in splits else 0 for split in Split}),
        "counts_by_class": by_class,
        "shards": shards,
        "index": index,
    }
    request = PREPROCESS_REQUEST
    if upload:
        spec = request.spec.model_copy(update={"source": UploadSource(upload=upload)})
        request = request.model_copy(update={"spec": spec})
    publish(stores, request, DATASET_MANIFEST.model_copy(update=manifest))


def stored_index(
    stores: Stores,
    folder: Path,
    files: dict[Split, list[tuple[str, bytes, str]]],
    archive: Path | None = None,
    indexed: int | None = None,
) -> ObjectRef:
    """Store the index of originals: by split, their names, bytes and classes, in the order of the shards.

    Each split has two shards, as those of `publish_dataset`. Places are those in `archive`; None for a compressed tar.
    """
    places = {}
    if archive:
        with Archive(archive, Limits(), Rejections()) as opened:
            places = {name: opened.place(name) for name in opened.names}
    path = folder / "images.parquet"
    with IndexWriter(path) as writer:
        for split, members in files.items():
            names, contents, labels = zip(*members, strict=True)
            halves = np.array_split(np.arange(len(names)), 2)
            columns: dict[str, Any] = {
                "sha256": [hashlib.sha256(data).digest() for data in contents],
                "path": names,
                "split": [split.value] * len(names),
                "label": labels,
                "width": [1] * len(names),
                "height": [1] * len(names),
                "shard": np.concatenate([np.full(len(part), shard) for shard, part in enumerate(halves)]),
                "row": np.concatenate([np.arange(len(part)) for part in halves]),
                "average_hash": [0] * len(names),
                "difference_hash": [0] * len(names),
                "member": names,
            } | {field: [getattr(places.get(name), field, None) for name in names] for field in PLACE.names}
            columns = {name: list(values)[:indexed] for name, values in columns.items()}
            writer.add(pa.table(columns, pa.schema([(name, SCHEMA.field(name).type) for name in columns])))
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    return stores.objects.put(Bucket.JOBS, f"prepared/attempts/1/{key}.parquet", path)


def evaluated(stores: Stores, folder: Path, **spec: Any) -> tuple[Job, list[Claim]]:
    """Run an evaluation, by default of pet-cnn@1 on the test split of pets@1."""
    request = EvaluateSpec.model_validate({"model": "pet-cnn@1", "dataset": "pets@1"} | spec)
    return run(stores, EvaluateRequest(kind=JobKind("evaluate"), spec=request), evaluate, folder)


def result(job: Job) -> EvaluateResult:
    assert job.state == JobState.SUCCEEDED, job.error
    return EvaluateResult.model_validate(job.result)


def output(stores: Stores, job: Job, folder: Path) -> Path:
    return fetch(stores.objects, stores.of(DEFAULT_PROJECT).jobs.output(job.id), folder / "output")


def rows(stores: Stores, job: Job, folder: Path) -> list[dict[str, object]]:
    """Return the rows of a report's JSONL file."""
    return [json.loads(line) for line in output(stores, job, folder).read_text().splitlines()]
