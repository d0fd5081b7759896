"""The audit trail"""

from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT, Caller, Role
from contract.audit import AuditAction
from contract.catalog import Traffic
from contract.errors import Conflict, Forbidden, Invalid, NotFound
from contract.pools import AutoPool, Measured, PoolMode
from contract.references import Reference
from services.storage.access.audit import Actor, Audit, AuditFilter, prune_audit
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from tests.examples import PREPROCESS_REQUEST, WHEN
from tests.integration.storage.steps import publish_dataset, publish_model
from tests.support.clock import FakeClock
from tests.support.publication import add_upload

ANY = AuditFilter()
UNMEASURED = Measured(at=0.0, ready=None, waiting=None, running=None)


@pytest.fixture
def stores(database: Database) -> ProjectStores:
    """The stores of the default project, changed with the key `laptop`."""
    actor = Actor("0123abcd", "laptop", "a-request", DEFAULT_PROJECT)
    return Stores(database, MemoryObjects()).of(DEFAULT_PROJECT, actor=actor)


def lines(stores: ProjectStores, where: AuditFilter = ANY) -> list[tuple[str, str, str]]:
    """The action, the subject and the detail of each entry, oldest first."""
    entries = stores.audit.list(where, 100).items[::-1]
    return [(entry.action, entry.subject, entry.detail) for entry in entries]


def test_changes_of_the_catalog_are_recorded(stores: ProjectStores, database: Database) -> None:
    for _ in range(2):
        publish_model(database, "cnn")
    publish_dataset(database, "birds")

    stores.models.set_alias("cnn", "production", 1)
    stores.models.split_alias("cnn", "production", Traffic(versions={1: 90, 2: 10}, shadow=2))
    stores.models.pin_variant(Reference(name="cnn", version=1), "fp32")
    stores.models.unpin_variant(Reference(name="cnn", version=1), "fp32")
    stores.models.delete_alias("cnn", "production")
    stores.models.delete(Reference(name="cnn", version=1))
    stores.datasets.delete(Reference(name="birds", version=1))

    assert lines(stores) == [
        ("promote", "models/cnn@production", "version 1"),
        ("promote", "models/cnn@production", "versions 1: 90 %, 2: 10 %, shadow 2"),
        ("change", "models/cnn@1", "serves fp32"),
        ("change", "models/cnn@1", "serves the variant that training chose"),
        ("delete", "models/cnn@production", ""),
        ("delete", "models/cnn@1", ""),
        ("delete", "datasets/birds@1", ""),
    ]


def test_jobs_uploads_keys_and_pools_are_recorded(stores: ProjectStores, database: Database) -> None:
    add_upload(database)
    job = stores.jobs.create(PREPROCESS_REQUEST)
    stores.jobs.cancel(job.id)
    copy = stores.jobs.retry(job.id)
    upload = stores.uploads.expect("an-upload", "pets.zip", 1, None)
    key = stores.keys.create("other", Role.VIEWER)
    stores.keys.delete(key.id)
    stores.pools.ensure()
    stores.pools.set_manual("trainer", 3, UNMEASURED)
    stores.pools.set_auto("trainer", AutoPool(mode=PoolMode.AUTO, min=0, max=2), UNMEASURED)

    assert lines(stores) == [
        ("create", f"jobs/{job.id}", "preprocess pets"),
        ("cancel", f"jobs/{job.id}", ""),
        ("create", f"jobs/{copy.id}", "preprocess pets"),
        ("create", f"uploads/{upload.id}", "pets.zip"),
        ("create", f"keys/{key.id}", "other"),
        ("revoke", f"keys/{key.id}", "other"),
        ("change", "pools/trainer", "set by hand to 3"),
        ("change", "pools/trainer", "set to follow its load between 0 and 2"),
    ]


def test_an_entry_names_the_key_and_the_request(stores: ProjectStores) -> None:
    stores.audit.add(AuditAction.READ, "images/abc", "datasets/pets@1")

    (entry,) = stores.audit.list(ANY, 10).items
    assert (entry.actor, entry.actor_name, entry.request_id) == ("0123abcd", "laptop", "a-request")
    assert (entry.action, entry.subject, entry.detail) == (AuditAction.READ, "images/abc", "datasets/pets@1")
    assert entry.at == WHEN


def test_what_fails_and_what_the_services_do_is_not_recorded(stores: ProjectStores, database: Database) -> None:
    publish_model(database, "cnn")
    admin = stores.keys.create("admin", Role.ADMIN)
    root = Stores(database, MemoryObjects()).of(DEFAULT_PROJECT).keys.create("root", Role.INSTANCE_ADMIN)
    job = stores.jobs.create(PREPROCESS_REQUEST)
    stores.jobs.cancel(job.id)
    before = lines(stores)

    with pytest.raises(NotFound):
        stores.models.set_alias("cnn", "production", 7)
    with pytest.raises(NotFound):
        stores.jobs.cancel("none")
    with pytest.raises(Invalid):
        stores.jobs.cancel(job.id, keep_best=True)
    with pytest.raises(Forbidden):
        stores.keys.delete(root.id, Caller(stores.keys.authenticate(admin.secret), DEFAULT_PROJECT))
    with pytest.raises(Conflict):
        stores.jobs.retry(stores.jobs.create(PREPROCESS_REQUEST).id)

    assert lines(stores)[:-1] == before


def test_entries_are_paged_and_filtered(stores: ProjectStores, database: Database, clock: FakeClock) -> None:
    # given entries of two keys, a minute apart
    other = Audit(database, DEFAULT_PROJECT, Actor("4567cdef", "desktop", "another", DEFAULT_PROJECT))
    for subject in ("models/cnn@1", "models/cnn@production", "models/cnn2@1", "models/cnn"):
        stores.audit.add(AuditAction.DELETE, subject)
        clock.tick(60)
    other.add(AuditAction.READ, "images/abc")

    # when they are read in pages
    audit, cursor, read = stores.audit, None, []
    while True:
        page = audit.list(ANY, 2, cursor)
        read += [entry.subject for entry in page.items]
        cursor = page.next
        if cursor is None:
            break

    # then each comes once, newest first
    newest_first = ["images/abc", "models/cnn", "models/cnn2@1", "models/cnn@production", "models/cnn@1"]
    assert read == newest_first
    with pytest.raises(Invalid, match="cursor"):
        audit.list(ANY, 2, "x")

    # and a filter selects
    def subjects(**where: object) -> list[str]:
        return [entry.subject for entry in audit.list(AuditFilter(**where), 10).items]  # type: ignore[arg-type]

    assert subjects(actor="4567cdef") == ["images/abc"]
    assert subjects(action=AuditAction.READ) == ["images/abc"]
    assert subjects(subject="models/cnn") == ["models/cnn", "models/cnn@production", "models/cnn@1"]
    assert subjects(subject="models/%") == []
    assert subjects(since=WHEN + timedelta(seconds=180)) == newest_first[:2]
    assert subjects(until=WHEN + timedelta(seconds=60)) == newest_first[-1:]


def test_old_entries_are_deleted(stores: ProjectStores, database: Database, clock: FakeClock) -> None:
    for subject in ("a", "b", "c"):
        stores.audit.add(AuditAction.DELETE, subject)
        clock.tick(60)

    assert prune_audit(database, timedelta(seconds=90)) == 2
    assert prune_audit(database, timedelta(seconds=90)) == 0
    assert [entry.subject for entry in stores.audit.list(ANY, 10).items] == ["c"]


def test_long_subjects_and_details_are_cut(stores: ProjectStores) -> None:
    stores.audit.add(AuditAction.CREATE, "s" * 300, "d" * 300)

    (entry,) = stores.audit.list(ANY, 10).items
    assert (len(entry.subject), len(entry.detail)) == (255, 255)
