"""Fills a database with one data set of many images, many models, and many jobs in all states."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import insert

from benchmarks.batches import batches
from contract.artifacts import Bucket
from contract.datasets import Counts, Split
from contract.jobs import JobState
from media.image_index import SCHEMA, IndexWriter
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.rows import fresh
from services.storage.memory_objects import MemoryObjects
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREDICT_REQUEST, PREPROCESS_REQUEST, TRAIN_REQUEST

CLASSES = 100
STATES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED, JobState.RUNNING)
WEIGHTS = (900, 60, 38, 1, 1)
BATCH = 5_000
REVIEWS = 20_000  # images in the review queue, of which people have answered half
PEOPLE = 5


def seed(database: Database, objects: MemoryObjects, folder: Path, images: int, models: int, jobs: int) -> str:
    """Insert everything into the default project; return the hash of an image."""
    first = next(_jobs(database, 1)) | {"state": JobState.SUCCEEDED}
    with database.write() as connection:
        connection.execute(insert(tables.jobs), [first])
        for rows in batches(_jobs(database, jobs - 1), BATCH):
            connection.execute(insert(tables.jobs), rows)
        sha256 = _add_dataset(connection, database, objects, folder, images, first["id"])
        _add_models(connection, database, models, first["id"])
        _add_reviews(connection, database)
    return sha256


def _jobs(database: Database, count: int) -> Iterator[dict[str, Any]]:
    chance, now = random.Random(1), database.now()
    for number in range(count):
        request = (PREPROCESS_REQUEST, TRAIN_REQUEST, PREDICT_REQUEST)[number % 3]
        state = chance.choices(STATES, WEIGHTS)[0]
        created = now - timedelta(minutes=count - number)
        ended = created + timedelta(seconds=chance.uniform(1, 300)) if state.terminal else None
        failed = state is JobState.FAILED
        yield fresh(created) | {
            "kind": request.kind,
            "state": state,
            "spec": request.spec.model_dump(mode="json"),
            "priority": 0,
            "max_attempts": 3,
            "project": "default",
            "dataset": "pets",
            "model": f"model-{number % 1000:04}" if number % 3 else None,
            "started_at": created,
            "finished_at": ended,
            "error_code": "bad_archive" if failed else None,
            "error_message": "the file is not a zip archive" if failed else None,
            "last_event": 1,
        }


def _add_dataset(
    connection: Any, database: Database, objects: MemoryObjects, folder: Path, images: int, job: str
) -> str:
    labels = tuple(f"class-{number:03}" for number in range(CLASSES))
    path = folder / "index.parquet"
    digests = np.random.default_rng(1).bytes(32 * images)
    with IndexWriter(path) as writer:
        writer.add(_rows(digests, images, labels))
    index = objects.put(Bucket.JOBS, "index.parquet", path)
    by_class = dict.fromkeys(labels, images // CLASSES)
    manifest = DATASET_MANIFEST.model_copy(
        update={
            "classes": labels,
            "counts": Counts(train=images, val=0, test=0),
            "counts_by_class": {Split.TRAIN: by_class, Split.VAL: {}, Split.TEST: {}},
            "index": index,
        }
    )
    now = database.now()
    connection.execute(insert(tables.datasets).values(project="default", name="pets", last_version=2, created_at=now))
    values = {"project": "default", "name": "pets", "job_id": job, "created_at": now}
    versions = [values | {"version": number, "manifest": manifest.model_dump(mode="json")} for number in (1, 2)]
    connection.execute(insert(tables.dataset_versions), versions)
    return digests[:32].hex()


def _rows(digests: bytes, images: int, labels: tuple[str, ...]) -> pa.Table:
    numbers = np.arange(images)
    columns: dict[str, Any] = {
        "sha256": pa.array([digests[start : start + 32] for start in range(0, 32 * images, 32)], pa.binary(32)),
        "path": [f"train/{labels[number % CLASSES]}/{number}.jpg" for number in range(images)],
        "split": ["train"] * images,
        "label": [labels[number % CLASSES] for number in range(images)],
        "member": [f"{number}.jpg" for number in range(images)],
    }
    for field in SCHEMA:
        if field.name not in columns:
            columns[field.name] = pa.array(numbers if field.name == "row" else np.full(images, 1), field.type)
    return pa.table(columns, schema=SCHEMA)


def _add_models(connection: Any, database: Database, models: int, job: str) -> None:
    manifest, now = MODEL_MANIFEST.model_dump(mode="json"), database.now()
    names = [f"model-{number:04}" for number in range(models)]
    own = {"project": "default", "created_at": now}
    connection.execute(insert(tables.models), [own | {"name": name, "last_version": 1} for name in names])
    version = own | {"version": 1, "job_id": job, "dataset": "pets@1", "manifest": manifest}
    connection.execute(insert(tables.model_versions), [version | {"name": name} for name in names])
    alias = {"project": "default", "alias": "production"}
    rows = [alias | {"model": name, "updated_at": now} for name in names]
    connection.execute(insert(tables.aliases), rows)
    weights = [alias | {"model": name, "version": 1, "weight": 100} for name in names]
    connection.execute(insert(tables.alias_weights), weights)


def _add_reviews(connection: Any, database: Database) -> None:
    now, sources = database.now(), ("margin", "random", "disagreement")
    numbers = range(REVIEWS)
    items = (
        {
            "id": f"review-{number:06}",
            "project": "default",
            "source": sources[number % 3],
            "state": "done" if number % 2 else "open",
            "model": f"model-{number % 50:04}",
            "alias": "production",
            "sha256": f"{number:064x}",
            "guess": [["class-001", 0.5], ["class-002", 0.4]],
            "priority": number / REVIEWS,
            "votes": 1 + number % 2,
            "label": "class-001" if number % 2 else None,
            "not_any": False,
            "created_at": now,
        }
        for number in numbers
    )
    for rows in batches(items, BATCH):
        connection.execute(insert(tables.review_items), rows)
    answers = (
        {
            "item_id": f"review-{number:06}",
            "project": "default",
            "reviewer": f"person-{person}",
            "reviewer_name": f"person-{person}",
            "label": "class-001",
            "not_any": False,
            "skip": False,
            "at": now - timedelta(seconds=number),
        }
        for number in numbers
        if number % 2
        for person in (number % PEOPLE, (number + 1) % PEOPLE)
    )
    for rows in batches(answers, BATCH):
        connection.execute(insert(tables.review_answers), rows)
