"""What is collected of the object store, and what is kept."""

import pytest
from sqlalchemy import Connection

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
from tests.clock import FakeClock
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    PROGRESS,
    TRAIN_REQUEST,
)
from tests.integration.storage.steps import claimed

EXPIRED_S = LEASE.total_seconds() + 1


@pytest.fixture
def objects() -> MemoryObjects:
    """A store with an upload, which no collector touches."""
    store = MemoryObjects()
    store.put(Bucket.UPLOADS, "an-upload", b"PK")
    return store


@pytest.fixture
def collector(database: Database, objects: MemoryObjects) -> Collector:
    return Collector(database, objects)


def wrote(objects: MemoryObjects, lease: Lease, name: str = "x") -> ObjectRef:
    """What the attempt under a lease wrote."""
    return objects.put(Bucket.JOBS, attempt_prefix(lease.job_id, lease.fence) + name, name.encode())


def dataset_of(images: ObjectRef, labels: ObjectRef) -> DatasetManifest:
    shard = Shard(count=4, images=images, labels=labels)
    return DATASET_MANIFEST.model_copy(update={"shards": {Split.TRAIN: (shard,)}})


def test_what_is_published_stays_and_the_attempts_before_go(
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


def test_models_and_outputs_stay(jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector) -> None:
    jobs.create(TRAIN_REQUEST)
    jobs.create(PREDICT_REQUEST)
    train, predict = (claimed(leases, kind).lease for kind in (JobKind.TRAIN, JobKind.PREDICT))
    leases.finish(train, MODEL_MANIFEST.model_copy(update={"artifact": wrote(objects, train)}))
    output = PredictionOutput(artifact=wrote(objects, predict), count=1, failed=0, metrics=None)
    leases.finish(predict, output)

    assert collector.collect() == 0


def test_what_is_deleted_goes(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, database: Database
) -> None:
    # given a data set and a model
    jobs.create(PREPROCESS_REQUEST)
    jobs.create(TRAIN_REQUEST)
    preprocess, train = (claimed(leases, kind).lease for kind in (JobKind.PREPROCESS, JobKind.TRAIN))
    leases.finish(preprocess, dataset_of(wrote(objects, preprocess, "images"), wrote(objects, preprocess, "labels")))
    leases.finish(train, MODEL_MANIFEST.model_copy(update={"artifact": wrote(objects, train)}))

    # when they are deleted, one after the other
    Models(database).delete(Reference(name="pet-cnn", version=1))
    assert collector.collect() == 1
    Datasets(database).delete(Reference(name="pets", version=1))
    assert collector.collect() == 2


def test_what_a_running_attempt_writes_stays(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector, clock: FakeClock
) -> None:
    # given a running attempt whose lease ran out, and that nobody took over
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


def test_a_checkpoint_stays_until_its_job_has_ended(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, collector: Collector
) -> None:
    # given an attempt that left a checkpoint, and two after it that left none
    job = jobs.create(TRAIN_REQUEST)
    first = claimed(leases, JobKind.TRAIN).lease
    leases.save_checkpoint(first, wrote(objects, first))
    leases.release(first)
    for _ in range(2):
        lease = claimed(leases, JobKind.TRAIN).lease
        wrote(objects, lease)
        leases.release(lease)

    # then the checkpoint and what the last of them left stay
    assert collector.collect() == 1
    assert wrote(objects, first).key in {key for _, key in objects.content}

    # and when the job has ended
    jobs.cancel(job.id)
    assert collector.collect() == 2


def test_what_parts_came_to_stays_until_the_job_has_ended(
    jobs: Jobs, leases: Leases, parts: Parts, objects: MemoryObjects, collector: Collector, clock: FakeClock
) -> None:
    # given a job that divided by something it wrote, and a part that was lost before it was done
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

    # when, then only what the lost attempt wrote goes
    assert collector.collect() == 1
    assert len(objects.content) == 1 + 3

    # and when the other part fails, and with it the job, all goes
    leases.fail(other, BadImage("cat/1.png is damaged"))
    assert collector.collect() == 3
    assert jobs.get(job.id).state == "failed"


def test_what_parts_came_to_is_published_with_the_job(
    jobs: Jobs, leases: Leases, parts: Parts, objects: MemoryObjects, collector: Collector
) -> None:
    # given a job whose parts wrote what it publishes
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


def test_a_job_that_succeeds_while_it_is_decided_keeps_its_files(
    jobs: Jobs, leases: Leases, objects: MemoryObjects, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases, JobKind.PREPROCESS).lease
    made = wrote(objects, lease)

    running = module._running

    def finished_meanwhile(connection: Connection) -> set[str]:
        leases.finish(lease, dataset_of(made, made))
        return running(connection)

    monkeypatch.setattr(module, "_running", finished_meanwhile)
    Collector(database, objects).collect()

    assert objects.read(made) == b"x"
