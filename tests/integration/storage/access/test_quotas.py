"""Quotas that the database keeps."""

from datetime import UTC, datetime

import pytest

from contract.access import DEFAULT_PROJECT, Role
from contract.artifacts import Bucket, ObjectRef
from contract.errors import Invalid, QuotaExceeded
from contract.jobs import JobKind
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.projects import NewProjectRequest, ProjectChange, Quotas
from contract.references import Reference
from contract.usage import Purpose, Use
from services.storage.access.quotas import require_replica_seconds, stored_bytes
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.sweep.reconciler import Reconciler
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, divided, together
from tests.support.clock import FakeClock
from tests.support.publication import publish

ONCE = IdempotencyKey("owner", "key", "0" * 64)


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database, MemoryObjects())


def limited(stores: Stores, **quotas: int) -> ProjectStores:
    """The stores of the default project with these quotas."""
    return stores.of(DEFAULT_PROJECT, quotas=Quotas(**quotas))


def used_by(database: Database, project: str = DEFAULT_PROJECT) -> int:
    with database.read() as connection:
        return stored_bytes(connection, project)


def test_simultaneous_submissions_do_not_exceed_the_live_jobs(stores: Stores) -> None:
    jobs = limited(stores, live_jobs=3).jobs

    def submit(_: int) -> bool:
        try:
            jobs.create(PREPROCESS_REQUEST)
        except QuotaExceeded:
            return False
        return True

    assert sorted(together(8, submit)) == [False] * 5 + [True] * 3


def test_simultaneous_uploads_do_not_exceed_the_stored_bytes(stores: Stores, database: Database) -> None:
    uploads = limited(stores, stored_bytes=35).uploads

    def announce(number: int) -> bool:
        try:
            uploads.expect(f"upload-{number}", "a.zip", 10, None)
        except QuotaExceeded:
            return False
        return True

    assert sorted(together(8, announce)) == [False] * 5 + [True] * 3
    assert used_by(database) == 30


def test_parts_and_ended_jobs_are_no_live_jobs(stores: Stores, database: Database, leases: Leases) -> None:
    divided(database, 5)
    jobs = limited(stores, live_jobs=2).jobs

    jobs.create(TRAIN_REQUEST)
    with pytest.raises(QuotaExceeded, match="live_jobs is 2") as caught:
        jobs.create(TRAIN_REQUEST)

    assert (caught.value.quota, caught.value.retryable) == ("live_jobs", True)
    jobs.cancel(claimed(leases, JobKind.TRAIN).job.id)
    with pytest.raises(QuotaExceeded):  # it still runs
        jobs.create(TRAIN_REQUEST)


def test_an_image_is_erased_although_quotas_are_reached(stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).uploads.expect("an-upload", "a.zip", 1000, None)
    jobs = limited(stores, stored_bytes=1, live_jobs=1).jobs

    for _ in range(2):
        assert jobs.create(EraseRequest(kind="erase", spec=EraseSpec(sha256="0" * 64))).kind == "erase"
    with pytest.raises(QuotaExceeded):
        jobs.create(PREPROCESS_REQUEST)


def test_a_repeated_request_is_answered_although_a_quota_is_reached(stores: Stores) -> None:
    project = limited(stores, live_jobs=1, upload_bytes=10, stored_bytes=10)
    job = project.jobs.create(PREPROCESS_REQUEST, once=ONCE)
    upload_once = IdempotencyKey("owner", "another", "0" * 64)
    upload = project.uploads.expect("an-upload", "a.zip", 10, None, upload_once)

    assert project.jobs.create(PREPROCESS_REQUEST, once=ONCE) == job
    assert project.uploads.expect("other", "a.zip", 10, None, upload_once) == upload
    with pytest.raises(Invalid):
        project.jobs.create(PREPROCESS_REQUEST, once=IdempotencyKey("owner", "key", "1" * 64))


def test_stored_bytes_are_those_of_uploads_versions_and_live_checkpoints(
    stores: Stores, database: Database, leases: Leases, clock: FakeClock
) -> None:
    # given a project with an upload and a dataset version, and another project with the same
    stores.projects.ensure_default()
    stores.projects.create(NewProjectRequest(name="lab"))
    assert used_by(database) == 0
    for project in (DEFAULT_PROJECT, "lab"):
        stores.of(project).uploads.expect(f"upload-of-{project}", "a.zip", 1000, None)
        publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, project)
    version = used_by(database) - 1000
    assert version > 0
    assert used_by(database, "lab") == version + 1000

    # when a job has a checkpoint, that counts until the job ends
    job = Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST)
    checkpoint = ObjectRef(bucket=Bucket.JOBS, key=f"{job.id}/attempts/1/checkpoint", size=7, sha256="0" * 64)
    leases.save_checkpoint(claimed(leases, JobKind.TRAIN).lease, checkpoint)
    assert used_by(database) == version + 1007
    Jobs(database, DEFAULT_PROJECT).cancel(job.id)
    clock.tick(30)
    Reconciler(database).repair()
    assert used_by(database) == version + 1000

    # and what is deleted does not
    stores.of(DEFAULT_PROJECT).datasets.delete(Reference(name="pets", version=1))
    assert used_by(database) == 1000
    assert used_by(database, "lab") == version + 1000


def test_the_seconds_of_a_month_begin_anew(stores: Stores, clock: FakeClock) -> None:
    project = limited(stores, replica_seconds_per_month=100)
    stores.ledger.add("trainer", False, {Use(Purpose.JOB, "m", "j"): 90.0, Use(Purpose.READY): 1e6})
    project.jobs.create(PREPROCESS_REQUEST)
    stores.ledger.add("inference", False, {Use(Purpose.ONLINE, "m"): 10.0})

    with pytest.raises(QuotaExceeded) as caught:
        project.jobs.create(PREPROCESS_REQUEST)

    clock.tick(caught.value.retry_after_s)
    project.jobs.create(PREPROCESS_REQUEST)
    assert stores.ledger.used_this_month(DEFAULT_PROJECT) == 0


def test_the_month_after_december_is_january() -> None:
    with pytest.raises(QuotaExceeded, match="begins at 2027-01-01T00:00Z") as caught:
        require_replica_seconds(Quotas(replica_seconds_per_month=1), 1.0, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))

    assert caught.value.retry_after_s == 60


def test_a_key_comes_with_the_quotas_of_its_project(stores: Stores) -> None:
    stores.projects.ensure_default()
    key = stores.of(DEFAULT_PROJECT).keys.create("ann", Role.MEMBER)
    assert stores.keys.caller(key.secret).quotas is None

    stores.projects.change(DEFAULT_PROJECT, ProjectChange(quotas=Quotas(live_jobs=1)))

    assert stores.keys.caller(key.secret).quotas == Quotas(live_jobs=1)
    stores.projects.change(DEFAULT_PROJECT, ProjectChange(quotas=Quotas(live_jobs=None)))
    assert stores.keys.caller(key.secret).quotas is None
