"""Uploads that nobody completed go after a day: their rows, their bytes and their parts."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from contract.artifacts import Bucket, upload_key
from contract.errors import NotFound
from services.storage.catalog.uploads import Uploads, new_upload_id
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.sweep import abandoned as module
from services.storage.sweep.abandoned import AbandonedUploads
from services.storage.tables import object_references
from tests.support.clock import FakeClock

DAY = timedelta(days=1)


@pytest.fixture
def objects(clock: FakeClock) -> MemoryObjects:
    return MemoryObjects(clock)


@pytest.fixture
def abandoned(database: Database, objects: MemoryObjects) -> AbandonedUploads:
    return AbandonedUploads(database, objects, DAY, DAY)


def announced(uploads: Uploads) -> str:
    return uploads.expect(new_upload_id(), "pets.zip", 2, None).id


def put(objects: MemoryObjects, upload_id: str) -> None:
    objects.put(Bucket.UPLOADS, upload_key(upload_id), b"PK")


def references(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(object_references)).scalar_one()


def test_what_was_announced_and_not_completed_goes_after_a_day(
    database: Database, objects: MemoryObjects, uploads: Uploads, abandoned: AbandonedUploads, clock: FakeClock
) -> None:
    # given uploads without and with bytes
    ids = [announced(uploads) for _ in range(3)]
    for upload_id in ids[1:]:
        put(objects, upload_id)
    clock.tick(DAY.total_seconds() - 1)
    assert abandoned.collect() == 0
    assert len(objects.content) == 2

    # when a day has passed
    clock.tick(1)
    assert [abandoned.collect() for _ in range(2)] == [2, 0]

    # then nothing is left of them
    assert objects.content == {}
    assert references(database) == 0
    for upload_id in ids:
        with pytest.raises(NotFound):
            uploads.get(upload_id)


def test_complete_uploads_stay(
    database: Database, objects: MemoryObjects, uploads: Uploads, abandoned: AbandonedUploads, clock: FakeClock
) -> None:
    completed = announced(uploads)
    put(objects, completed)
    uploads.complete(completed, objects.adopt(Bucket.UPLOADS, completed))
    sent = new_upload_id()
    uploads.add("pets.zip", objects.put(Bucket.UPLOADS, upload_key(sent), b"PK"))
    clock.tick(100 * DAY.total_seconds())

    assert abandoned.collect() == 0

    for upload_id in (completed, sent):
        assert objects.read(uploads.ref(upload_id)) == b"PK"


def test_the_bytes_of_a_gateway_that_ended_before_it_wrote_the_row_go(
    objects: MemoryObjects, abandoned: AbandonedUploads, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for _ in range(5):
        put(objects, new_upload_id())
    clock.tick(DAY.total_seconds())
    put(objects, "young")

    assert abandoned.collect() == 5

    assert list(objects.content) == [(Bucket.UPLOADS, "young")]


def test_an_interrupted_multipart_upload_is_aborted_after_a_day(
    objects: MemoryObjects, abandoned: AbandonedUploads, clock: FakeClock
) -> None:
    for bucket in Bucket:
        objects.parts[bucket, "old"] = clock()
    clock.tick(DAY.total_seconds())
    objects.parts[Bucket.UPLOADS, "young"] = clock()

    assert [abandoned.collect() for _ in range(2)] == [2, 0]

    assert list(objects.parts) == [(Bucket.UPLOADS, "young")]


def test_objects_of_jobs_are_not_touched(objects: MemoryObjects, abandoned: AbandonedUploads, clock: FakeClock) -> None:
    objects.put(Bucket.JOBS, "job/attempts/1/x", b"x")
    clock.tick(100 * DAY.total_seconds())

    assert abandoned.collect() == 0

    assert list(objects.content) == [(Bucket.JOBS, "job/attempts/1/x")]
