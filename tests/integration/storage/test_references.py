"""The registry of references: every path that stores a reference registers it, and the owner's end removes it."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, Column, update

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.datasets import Shard, Split
from contract.errors import NotFound
from contract.jobs import JobKind
from contract.kinds.predict import PredictionOutput
from contract.references import Reference
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.memory_objects import MemoryObjects
from services.storage.references import Owner, add_references, drop_references
from services.storage.sweep.collector import Collector
from services.storage.tables import dataset_versions, metadata
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    UPLOAD,
    VET_REQUEST,
    VETTED_MANIFEST,
)
from tests.integration.storage.steps import claimed, owned, publish_dataset, ref
from tests.support.clock import FakeClock


def test_an_upload_is_registered_until_it_is_forgotten(database: Database) -> None:
    uploads = Uploads(database, DEFAULT_PROJECT)
    stored = ObjectRef(bucket=Bucket.UPLOADS, key="stored", size=1, sha256="0" * 64)
    uploads.add("pets.zip", stored)
    uploads.expect(UPLOAD.id, "pets.zip", 1, None)
    assert owned(database, Owner.UPLOAD) == {"stored": {"stored"}, UPLOAD.id: {UPLOAD.id}}

    uploads.forget("stored")

    assert owned(database, Owner.UPLOAD) == {UPLOAD.id: {UPLOAD.id}}


def test_a_dataset_version_is_registered_until_it_is_deleted(database: Database, jobs: Jobs, leases: Leases) -> None:
    shards = {
        split: (Shard(count=1, images=ref(f"{split}-images"), labels=ref(f"{split}-labels")),)
        for split in (Split.TRAIN, Split.TEST)
    }
    for _ in range(2):
        jobs.create(PREPROCESS_REQUEST)
        leases.finish(claimed(leases).lease, DATASET_MANIFEST.model_copy(update={"shards": shards}))
    objects = {"train-images", "train-labels", "test-images", "test-labels"}
    assert owned(database, Owner.DATASET_VERSION) == {"pets@1": objects, "pets@2": objects}

    Datasets(database, DEFAULT_PROJECT).delete(Reference(name="pets", version=1))

    assert owned(database, Owner.DATASET_VERSION) == {"pets@2": objects}


@pytest.mark.parametrize(
    ("job_request", "manifest", "name"),
    [(TRAIN_REQUEST, MODEL_MANIFEST, "pet-cnn"), (VET_REQUEST, VETTED_MANIFEST, "pet-vit")],
    ids=["trained", "vetted"],
)
def test_a_model_version_is_registered_until_it_is_deleted(
    database: Database, jobs: Jobs, leases: Leases, job_request: Any, manifest: Any, name: str
) -> None:
    jobs.create(job_request)
    leases.finish(claimed(leases, job_request.kind).lease, manifest.model_copy(update={"artifact": ref("model.onnx")}))
    assert owned(database, Owner.MODEL_VERSION) == {f"{name}@1": {"model.onnx"}}

    Models(database, DEFAULT_PROJECT).delete(Reference(name=name, version=1))

    assert owned(database, Owner.MODEL_VERSION) == {}


def test_the_output_of_a_batch_prediction_is_registered(database: Database, jobs: Jobs, leases: Leases) -> None:
    job = jobs.create(PREDICT_REQUEST)
    output = PredictionOutput(artifact=ref("predictions.csv"), count=1, failed=0, metrics=None)

    leases.finish(claimed(leases, JobKind.PREDICT).lease, output)

    assert owned(database, Owner.JOB_OUTPUT) == {job.id: {"predictions.csv"}}


def test_a_version_whose_manifest_was_mangled_keeps_its_objects(database: Database, clock: FakeClock) -> None:
    # given a published version whose manifest no longer names its objects
    objects = MemoryObjects(clock)
    shard = DATASET_MANIFEST.shards[Split.TRAIN][0]
    publish_dataset(database, "pets")
    with database.write() as connection:
        connection.execute(update(dataset_versions).values(manifest={"shards": "mangled"}))
    for key in (shard.images.key, shard.labels.key, attempt_prefix("other", 1) + "x"):
        objects.put(Bucket.JOBS, key, b"x")

    # when
    assert Collector(database, objects, timedelta()).collect() == 1

    # then
    assert {entry.key for entry in objects.entries(Bucket.JOBS)} == {shard.images.key, shard.labels.key}


def test_every_json_column_is_registered_or_has_no_references() -> None:
    """Fails for a new JSON column: register its references and list it here, or list it as having none."""
    documents = {
        f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.columns if is_json(column)
    }
    registered = {
        "dataset_versions.manifest",
        "features.file",
        "uploads.file",
        "model_versions.manifest",
        "backbone_versions.manifest",
        "review_items.file",
        "jobs.spec",  # of parts
        "jobs.result",
        "jobs.output",
        "jobs.checkpoint",
    }
    without_objects = {
        "projects.retention",
        "projects.quotas",
        "jobs.erased",
        "review_items.guess",
        "review_sampling.settings",
        "drift_counts.counts",
        "pipelines.request",
        "pipeline_runs.gate",
        "pipeline_runs.notes",
        "job_events.data",
        "idempotency.answer",
        "api_keys.origins",
        "api_keys.scopes",
        "pools.policy",
    }
    assert documents == registered | without_objects


def is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


REFS = st.builds(
    ObjectRef,
    bucket=st.just(Bucket.JOBS),
    key=st.integers(0, 9).map(lambda number: f"job/attempts/1/{number}"),
    size=st.just(1),
    sha256=st.just("0" * 64),
)
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | REFS
WORDS = st.text(max_size=5) | st.sampled_from(["bucket", "key", "size"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=20
)


def refs_in(value: Any) -> set[str]:
    if isinstance(value, ObjectRef):
        return {value.key}
    if isinstance(value, dict):
        return set().union(*map(refs_in, value.values()))
    return set().union(*map(refs_in, value)) if isinstance(value, list) else set()


@given(document=DOCUMENTS)
def test_no_referenced_object_is_collected_whatever_the_document(document: Any) -> None:
    # given ten objects, and a document that refers to some of them
    database, objects = Database.in_memory(), MemoryObjects()
    for number in range(10):
        objects.put(Bucket.JOBS, f"job/attempts/1/{number}", b"x")
    with database.write() as connection:
        for _ in range(2):
            add_references(connection, Owner.JOB_OUTPUT, "job", document)

    # when
    Collector(database, objects, timedelta()).collect()

    # then
    assert {entry.key for entry in objects.entries(Bucket.JOBS)} == refs_in(document)

    # and when its owner is gone
    with database.write() as connection:
        drop_references(connection, Owner.JOB_OUTPUT, "job")
    Collector(database, objects, timedelta()).collect()
    assert objects.content == {}


def test_a_reference_of_one_owner_survives_the_end_of_another(database: Database) -> None:
    with database.write() as connection:
        add_references(connection, Owner.JOB_OUTPUT, "one", ref("shared"))
        add_references(connection, Owner.JOB_OUTPUT, "other", [ref("shared"), ref("own")])
        add_references(connection, Owner.JOB_PARTS, "other", (ref("shared"),))
        drop_references(connection, Owner.JOB_OUTPUT, "other")

    assert owned(database, Owner.JOB_OUTPUT) == {"one": {"shared"}}
    assert owned(database, Owner.JOB_PARTS) == {"other": {"shared"}}


def test_references_go_with_the_transaction_that_adds_them(database: Database) -> None:
    with suppress(NotFound), database.write() as connection:
        add_references(connection, Owner.JOB_OUTPUT, "job", ref("x"))
        raise NotFound("there is no such job")

    assert owned(database, Owner.JOB_OUTPUT) == {}
