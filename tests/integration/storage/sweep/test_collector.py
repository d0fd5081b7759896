"""The collector: which objects are deleted, and which are kept."""

from collections.abc import Collection
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, func, select

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.datasets import DatasetManifest, Shard, Split
from contract.division import Division, PartDone
from contract.errors import BadArchive, BadImage
from contract.jobs import JobKind
from contract.kinds.predict import PredictionOutput
from contract.references import Reference
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE, Lease
from services.storage.memory_objects import MemoryObjects
from services.storage.sweep import collector as module
from services.storage.sweep.collector import Collector
from services.storage.tables import object_references
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    PROGRESS,
    TRAIN_REQUEST,
)
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1


@pytest.fixture
def objects(clock: FakeClock) -> MemoryObjects:
    """A store with an upload, which the collector must keep."""
    store = MemoryObjects(clock)
    store.put(Bucket.UPLOADS, "an-upload", b"PK")
    return store


@pytest.fixture
def collector(database: Database, objects: MemoryObjects) -> Collector:
    return Collector(database, objects, timedelta())


def wrote(objects: MemoryObjects, lease: Lease, name: str = "x") -> ObjectRef:
    """An object that the attempt of a lease wrote."""
    return objects.put(Bucket.JOBS, attempt_prefix(lease.job_id, lease.fence) + name, name.encode())


def dataset_of(images: ObjectRef, labels: ObjectRef) -> DatasetManifest:
    shard = Shard(count=4, images=images, labels=labels)
    return DATASET_MANIFEST.model_copy(update={"shards": {Split.TRAIN: (shard,)}})


def test_published_objects_are_kept_and_those_of_lost_attempts_deleted(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, clock: FakeClock
) -> None:
    # given a job whose first attempt was lost, and whose second published
    jobs.create(PREPROCESS_REQUEST)
    lost = claimed(leases).lease
    wrote(objects, lost, "train/0.npy")
    wrote(objects, lost, "train/1.npy")
    clock.tick(EXPIRED_S)
    lease = claimed(leases).lease
    images, labels = wrote(objects, lease, "images.npy"), wrote(objects, lease, "labels.npy")
    leases.finish(lease, dataset_of(images, labels))

    # when
    assert [collector.collect() for _ in range(2)] == [2, 0]

    # then
    assert [key for bucket, key in objects.content if bucket == Bucket.JOBS] == [images.key, labels.key]
    assert (Bucket.UPLOADS, "an-upload") in objects.content


def test_models_and_outputs_are_kept(jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector) -> None:
    jobs.create(TRAIN_REQUEST)
    jobs.create(PREDICT_REQUEST)
    train, predict = (claimed(leases, kind).lease for kind in (JobKind.TRAIN, JobKind.PREDICT))
    leases.finish(train, MODEL_MANIFEST.model_copy(update={"artifact": wrote(objects, train)}))
    output = PredictionOutput(artifact=wrote(objects, predict), count=1, failed=0, metrics=None)
    leases.finish(predict, output)

    assert collector.collect() == 0


def test_the_objects_of_deleted_versions_are_deleted(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, database: Database
) -> None:
    # given a dataset and a model
    jobs.create(PREPROCESS_REQUEST)
    jobs.create(TRAIN_REQUEST)
    preprocess, train = (claimed(leases, kind).lease for kind in (JobKind.PREPROCESS, JobKind.TRAIN))
    leases.finish(preprocess, dataset_of(wrote(objects, preprocess, "images"), wrote(objects, preprocess, "labels")))
    leases.finish(train, MODEL_MANIFEST.model_copy(update={"artifact": wrote(objects, train)}))

    # when they are deleted, one after the other
    Models(database, DEFAULT_PROJECT).delete(Reference(name="pet-cnn", version=1))
    assert collector.collect() == 1
    Datasets(database, DEFAULT_PROJECT).delete(Reference(name="pets", version=1))
    assert collector.collect() == 2


def test_the_objects_of_a_running_attempt_are_kept(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, clock: FakeClock
) -> None:
    # given a running attempt with an expired lease, not claimed by another worker
    jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    wrote(objects, lease)
    clock.tick(EXPIRED_S)
    assert collector.collect() == 0

    # when another takes over, or the job ends without success
    later = claimed(leases).lease
    wrote(objects, later)
    assert collector.collect() == 1
    leases.fail(later, BadArchive("the file is not a zip archive"))
    assert collector.collect() == 1


def test_a_checkpoint_is_kept_until_its_job_has_ended(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector
) -> None:
    # given an attempt that saved a checkpoint, and two later ones that did not
    job = jobs.create(TRAIN_REQUEST)
    first = claimed(leases, JobKind.TRAIN).lease
    leases.save_checkpoint(first, wrote(objects, first))
    leases.release(first)
    for _ in range(2):
        lease = claimed(leases, JobKind.TRAIN).lease
        wrote(objects, lease)
        leases.release(lease)

    # then the checkpoint and the objects of the last attempt are kept
    assert collector.collect() == 1
    assert wrote(objects, first).key in {key for _, key in objects.content}

    # and when the job has ended
    jobs.cancel(job.id)
    assert collector.collect() == 2


def test_the_results_of_parts_are_kept_until_their_job_has_ended(
    jobs: Jobs, leases: Leases, parts: Parts, objects: MemoryObjects, collector: Collector, clock: FakeClock
) -> None:
    # given a job whose parts refer to an object it wrote, and a part whose first attempt was lost
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    plan = wrote(objects, lease, "plan").model_dump(mode="json")
    parts.divide(lease, Division(parts=({"plan": plan, "number": 0}, {"plan": plan, "number": 1})))
    lost, other = (claimed(leases).lease for _ in range(2))
    wrote(objects, lost)
    clock.tick(EXPIRED_S)
    leases.renew(other, PROGRESS)
    again = claimed(leases).lease
    parts.finish(again, PartDone(result={"shards": [wrote(objects, again).model_dump(mode="json")]}))
    wrote(objects, other)

    # then only the object of the lost attempt is deleted
    assert collector.collect() == 1
    assert len(objects.content) == 1 + 3

    # and when the other part and with it the job fails, all objects are deleted
    leases.fail(other, BadImage("cat/1.png is damaged"))
    assert collector.collect() == 3
    assert jobs.get(job.id).state == "failed"


def test_the_results_of_parts_are_kept_when_their_job_publishes_them(
    jobs: Jobs, leases: Leases, parts: Parts, objects: MemoryObjects, collector: Collector
) -> None:
    # given a job that publishes what its parts wrote
    jobs.create(PREPROCESS_REQUEST)
    parts.divide(claimed(leases).lease, Division(parts=({}, {})))
    for lease in [claimed(leases).lease for _ in range(2)]:
        parts.finish(lease, PartDone(result=wrote(objects, lease).model_dump(mode="json")))
    whole = claimed(leases)
    assert whole.parts is not None
    assert collector.collect() == 0

    # when
    leases.finish(whole.lease, dataset_of(*map(ObjectRef.model_validate, whole.parts)))

    # then
    assert collector.collect() == 0


@pytest.mark.parametrize("before", [True, False], ids=["before running attempts are read", "after"])
def test_a_job_that_publishes_during_a_collection_keeps_its_objects(
    jobs: Jobs,
    leases: Leases,
    objects: MemoryObjects,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
) -> None:
    jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases, JobKind.PREPROCESS).lease
    made = wrote(objects, lease)
    read_running, read_referenced = module.running_attempts, module._referenced

    def publish() -> None:
        leases.finish(lease, dataset_of(made, made))

    def running(connection: Connection) -> set[str]:
        if before:
            publish()
        return read_running(connection)

    monkeypatch.setattr(module, "running_attempts", running)

    def referenced(connection: Connection, keys: Collection[str]) -> set[str]:
        keys_in_registry = read_referenced(connection, keys)
        if not before:
            publish()
        return keys_in_registry

    monkeypatch.setattr(module, "_referenced", referenced)
    # an object of nobody, so that the registry is read in both cases
    objects.put(Bucket.JOBS, attempt_prefix("gone", 1) + "x", b"x")

    assert Collector(database, objects, timedelta()).collect() == 1

    assert objects.read(made) == b"x"


def test_what_an_older_release_published_without_the_registry_is_registered_and_kept(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, database: Database
) -> None:
    # given a dataset, a model, a file of predictions, a checkpoint and a part's result that are not registered
    jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases, JobKind.PREPROCESS).lease
    kept = [wrote(objects, lease)]
    leases.finish(lease, dataset_of(kept[0], kept[0]))
    jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    kept.append(wrote(objects, lease))
    leases.finish(lease, MODEL_MANIFEST.model_copy(update={"artifact": kept[1], "variants": ()}))
    jobs.create(PREDICT_REQUEST)
    lease = claimed(leases, JobKind.PREDICT).lease
    kept.append(wrote(objects, lease))
    leases.finish(lease, PredictionOutput(artifact=kept[2], count=1, failed=0, metrics=None))
    jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    kept.append(wrote(objects, lease))
    leases.save_checkpoint(lease, kept[3])
    leases.release(lease)
    jobs.create(PREPROCESS_REQUEST)
    Parts(database).divide(claimed(leases, JobKind.PREPROCESS).lease, Division(parts=({"part": 1}, {"part": 2})))
    lease = claimed(leases, JobKind.PREPROCESS).lease
    kept.append(wrote(objects, lease))
    Parts(database).finish(lease, PartDone(result=kept[4].model_dump(mode="json")))
    with database.write() as connection:
        assert connection.execute(delete(object_references)).rowcount >= len(kept)

    assert collector.collect() == 0

    # and by the next collection nothing has to be registered again
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(object_references)).scalar_one() == len(kept)


def test_objects_stay_for_a_grace_period_after_they_were_written(
    database: Database, objects: MemoryObjects, clock: FakeClock
) -> None:
    collector = Collector(database, objects, timedelta(seconds=60))
    objects.put(Bucket.JOBS, attempt_prefix("gone", 1) + "x", b"x")

    clock.tick(59)
    assert collector.collect() == 0

    clock.tick(1)
    assert collector.collect() == 1


def test_unpublished_objects_of_a_successful_attempt_are_deleted(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector
) -> None:
    jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    leases.save_checkpoint(lease, wrote(objects, lease, "checkpoint"))
    model = wrote(objects, lease, "model.onnx")
    leases.finish(lease, MODEL_MANIFEST.model_copy(update={"artifact": model}))

    assert collector.collect() == 1

    assert objects.read(model) == b"model.onnx"


def test_objects_are_collected_in_batches(
    objects: MemoryObjects, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for number in range(5):
        objects.put(Bucket.JOBS, attempt_prefix("gone", number) + "x", b"x")

    assert collector.collect() == 5


def test_objects_outside_of_attempts_are_kept(objects: MemoryObjects, collector: Collector) -> None:
    objects.put(Bucket.JOBS, "probe/one", b"1")

    assert collector.collect() == 0
