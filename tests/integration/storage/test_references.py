"""The registry of references: every path that stores a reference registers it, and the owner's end removes it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, Column, select, update

from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.batches import PredictionOutput
from contract.datasets import Shard, Split
from contract.division import Division, PartDone
from contract.errors import BadArchive, BadImage, NotFound
from contract.jobs import Job, JobKind
from contract.references import Reference
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE
from services.storage.memory_objects import MemoryObjects
from services.storage.references import Owner, add_references, drop_references
from services.storage.sweep.collector import Collector
from services.storage.sweep.reconciler import Reconciler
from services.storage.tables import dataset_versions, metadata, object_references
from tests.clock import FakeClock
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
from tests.integration.storage.steps import claimed, publish_dataset

ENDS: dict[str, Callable[[Database, FakeClock, str], object]] = {
    "cancelled": lambda database, clock, job: Jobs(database).cancel(job),
    "expired": lambda database, clock, job: (clock.tick(3601), Reconciler(database).repair()),
    "failed": lambda database, clock, job: Leases(database).fail(
        claimed(Leases(database), JobKind.TRAIN).lease, BadArchive("the file is not a zip archive")
    ),
    "succeeded": lambda database, clock, job: Leases(database).finish(
        claimed(Leases(database), JobKind.TRAIN).lease, MODEL_MANIFEST
    ),
}


def ref(name: str) -> ObjectRef:
    return ObjectRef(bucket=Bucket.JOBS, key=f"job/attempts/1/{name}", size=1, sha256="0" * 64)


def owned(database: Database, owner: Owner) -> dict[str, set[str]]:
    """The names of the objects that each owner of a kind refers to, by the owner's id."""
    table = object_references.c
    names: dict[str, set[str]] = {}
    with database.read() as connection:
        for row in connection.execute(select(object_references).where(table.owner_kind == owner)):
            assert row.bucket == (Bucket.UPLOADS if owner is Owner.UPLOAD else Bucket.JOBS)
            names.setdefault(row.owner_id, set()).add(row.key.split("/")[-1])
    return names


def test_an_upload_is_registered_until_it_is_forgotten(database: Database) -> None:
    uploads = Uploads(database)
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

    Datasets(database).delete(Reference(name="pets", version=1))

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

    Models(database).delete(Reference(name=name, version=1))

    assert owned(database, Owner.MODEL_VERSION) == {}


def test_the_output_of_a_batch_prediction_is_registered(database: Database, jobs: Jobs, leases: Leases) -> None:
    job = jobs.create(PREDICT_REQUEST)
    output = PredictionOutput(artifact=ref("predictions.csv"), count=1, failed=0, metrics=None)

    leases.finish(claimed(leases, JobKind.PREDICT).lease, output)

    assert owned(database, Owner.JOB_OUTPUT) == {job.id: {"predictions.csv"}}


@pytest.mark.parametrize("end", ENDS)
def test_the_latest_checkpoint_is_registered_until_the_job_ends(
    database: Database, jobs: Jobs, leases: Leases, clock: FakeClock, end: str
) -> None:
    # given
    job = jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    for name in ("epoch-1", "epoch-2", "epoch-2"):
        leases.save_checkpoint(lease, ref(name))
    assert owned(database, Owner.JOB_CHECKPOINT) == {job.id: {"epoch-2"}}

    # when the job moves to another replica
    leases.release(lease)
    assert owned(database, Owner.JOB_CHECKPOINT) == {job.id: {"epoch-2"}}

    # and ends
    ENDS[end](database, clock, job.id)
    assert jobs.get(job.id).state == end
    assert owned(database, Owner.JOB_CHECKPOINT) == {}


def divided(jobs: Jobs, leases: Leases, parts: Parts) -> Job:
    """A job of two parts: the first has finished, and the second has saved a checkpoint and waits for a replica."""
    job = jobs.create(PREPROCESS_REQUEST)
    plan = ref("plan").model_dump(mode="json")
    division = Division(parts=({"plan": plan, "files": [ref("0").model_dump()]}, {"plan": plan, "files": []}))
    parts.divide(claimed(leases).lease, division)
    first, second = claimed(leases).lease, claimed(leases).lease
    leases.save_checkpoint(first, ref("first-checkpoint"))
    leases.save_checkpoint(second, ref("second-checkpoint"))
    parts.finish(first, PartDone(result={"shards": [{"images": ref("images").model_dump(mode="json")}]}))
    leases.release(second)
    return job


def test_the_documents_of_parts_are_registered_until_the_job_succeeds(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    # given
    job = divided(jobs, leases, parts)
    assert owned(database, Owner.JOB_PARTS) == {job.id: {"plan", "0", "images"}}
    assert list(owned(database, Owner.JOB_CHECKPOINT).values()) == [{"second-checkpoint"}]

    # when the last part is done
    parts.finish(claimed(leases).lease, PartDone(result={}))
    assert owned(database, Owner.JOB_CHECKPOINT) == {}
    assert owned(database, Owner.JOB_PARTS) == {job.id: {"plan", "0", "images"}}

    # and the job publishes
    leases.finish(claimed(leases).lease, DATASET_MANIFEST)
    assert owned(database, Owner.JOB_PARTS) == {}
    assert owned(database, Owner.DATASET_VERSION).keys() == {"pets@1"}


def test_a_failed_part_ends_all_references_of_its_job(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    job = divided(jobs, leases, parts)

    leases.fail(claimed(leases).lease, BadImage("cat/1.png is damaged"))

    assert jobs.get(job.id).state == "failed"
    assert (owned(database, Owner.JOB_PARTS), owned(database, Owner.JOB_CHECKPOINT)) == ({}, {})


def test_cancelling_a_divided_job_ends_all_its_references(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    job = divided(jobs, leases, parts)

    jobs.cancel(job.id)

    assert (owned(database, Owner.JOB_PARTS), owned(database, Owner.JOB_CHECKPOINT)) == ({}, {})


def test_a_checkpoint_saved_after_the_job_was_cancelled_is_dropped_with_its_part(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given a part whose worker does not know yet that the job was cancelled
    job = divided(jobs, leases, parts)
    part = claimed(leases).lease
    jobs.cancel(job.id)
    leases.save_checkpoint(part, ref("late"))
    assert owned(database, Owner.JOB_CHECKPOINT) == {part.job_id: {"late"}}

    # when
    clock.tick(LEASE.total_seconds() + 1)
    reconciler.repair()

    # then
    assert owned(database, Owner.JOB_CHECKPOINT) == {}


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
        "model_versions.manifest",
        "jobs.spec",  # of parts
        "jobs.result",
        "jobs.output",
        "jobs.checkpoint",
    }
    without_objects = {"job_events.data", "idempotency.answer", "api_keys.scopes", "pools.policy"}
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
