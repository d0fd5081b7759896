"""Backbones that people bring."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import BadModel, Conflict, JobFailed, NotFound, TidepoolError
from contract.jobs import Job, JobKind, JobState
from contract.references import Reference
from services.storage.catalog.backbones import Backbones
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.tables import object_references
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    MODEL_MANIFEST,
    TRAIN_REQUEST,
    TRAIN_SPEC,
    VET_REQUEST,
    VETTED_MANIFEST,
)
from tests.integration.storage.steps import claimed, query_plans

FIRST, SECOND = Reference(name="pet-body", version=1), Reference(name="pet-body", version=2)


@pytest.fixture
def backbones(database: Database) -> Backbones:
    return Backbones(database, DEFAULT_PROJECT)


def brought(database: Database, error: TidepoolError | None = None) -> Job:
    """A backbone job that has succeeded, or failed with `error`."""
    Jobs(database, DEFAULT_PROJECT).create(BACKBONE_REQUEST)
    leases = Leases(database)
    lease = claimed(leases, JobKind.BACKBONE).lease
    return leases.fail(lease, error) if error else leases.finish(lease, BACKBONE_MANIFEST)


def named(request: object, name: str) -> object:
    spec = request.spec  # type: ignore[attr-defined]
    field = "model" if hasattr(spec, "model") else "backbone"
    return request.model_copy(update={"spec": spec.model_copy(update={field: name})})  # type: ignore[attr-defined]


def test_a_bare_name_is_the_newest_version_that_is_ready(database: Database, backbones: Backbones) -> None:
    first = brought(database)
    brought(database)
    rejected = brought(database, BadModel("it is a pickle"))

    assert (first.state, first.result) == (JobState.SUCCEEDED, {"backbone": "pet-body@1", "status": "ready"})
    assert (rejected.state, rejected.result) == (JobState.FAILED, {"backbone": "pet-body@3", "status": "rejected"})
    assert backbones.manifest(Reference(name="pet-body")) == (SECOND, BACKBONE_MANIFEST)
    version = backbones.get(Reference(name="pet-body", version=3))
    assert (version.status, version.reason, version.format) == ("rejected", "it is a pickle", None)
    with pytest.raises(BadModel, match="pet-body@3 was rejected: it is a pickle"):
        backbones.manifest(Reference(name="pet-body", version=3))
    shown = backbones.named("pet-body")
    assert (shown.versions, shown.rejected, shown.sha256) == ((2, 1), (3,), BACKBONE_MANIFEST.sha256)


def test_other_errors_publish_nothing(database: Database, backbones: Backbones) -> None:
    brought(database, JobFailed("out of memory"))

    assert not backbones.known("pet-body")


def test_the_file_is_referred_to_until_the_version_is_deleted(database: Database, backbones: Backbones) -> None:
    brought(database)

    def keys() -> set[str]:
        with database.read() as connection:
            rows = connection.execute(object_references.select().where(object_references.c.owner_id == str(FIRST)))
            return {row.key for row in rows}

    assert keys() == {BACKBONE_MANIFEST.file.key}
    backbones.delete(FIRST)
    assert keys() == set()
    with pytest.raises(NotFound):
        backbones.manifest(FIRST)


def test_a_backbone_in_use_is_not_deleted(database: Database, backbones: Backbones) -> None:
    brought(database)
    spec = TRAIN_SPEC.model_copy(
        update={"init_from": str(FIRST), "architecture": None, "method": None, "model": "other"}
    )
    Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST.model_copy(update={"spec": spec}))

    with pytest.raises(Conflict, match="a job that has not ended uses pet-body@1"):
        backbones.delete(FIRST)


def test_pages_have_the_backbones_of_tidepool_in_their_place(database: Database, backbones: Backbones) -> None:
    brought(database)

    pages, cursor = [], None
    while True:
        page = backbones.list(2, cursor)
        pages.append([item.name for item in page.items])
        if (cursor := page.next) is None:
            break

    assert pages == [["lite0", "lite1"], ["lite2", "pet-body"]]
    assert [item.built_in for item in backbones.list(50).items] == [True, True, True, False]


def test_backbones_of_tidepool_cannot_be_deleted(backbones: Backbones) -> None:
    with pytest.raises(Conflict, match="lite0 comes with Tidepool"):
        backbones.delete(Reference(name="lite0", version=1))


@pytest.mark.parametrize("request_", [BACKBONE_REQUEST, TRAIN_REQUEST, VET_REQUEST], ids=["backbone", "train", "vet"])
def test_names_of_tidepools_backbones_are_reserved(database: Database, request_: object) -> None:
    with pytest.raises(Conflict, match="lite1 is a backbone that comes with Tidepool; choose another name"):
        Jobs(database, DEFAULT_PROJECT).create(named(request_, "lite1"))  # type: ignore[arg-type]


def test_a_model_and_a_backbone_cannot_share_a_name(database: Database) -> None:
    jobs, leases = Jobs(database, DEFAULT_PROJECT), Leases(database)
    brought(database)
    jobs.create(named(VET_REQUEST, "vit"))  # type: ignore[arg-type]

    for request in (TRAIN_REQUEST, VET_REQUEST):
        with pytest.raises(Conflict, match="pet-body is a backbone, and init_from takes either"):
            jobs.create(named(request, "pet-body"))  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="vit is a model, and init_from takes either"):  # while the job waits
        jobs.create(named(BACKBONE_REQUEST, "vit"))  # type: ignore[arg-type]
    leases.finish(claimed(leases, JobKind.VET).lease, VETTED_MANIFEST)
    with pytest.raises(Conflict, match="vit is a model"):  # and once it is published
        jobs.create(named(BACKBONE_REQUEST, "vit"))  # type: ignore[arg-type]


# PostgreSQL reads small tables without their indexes.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_submit_does_not_read_the_other_jobs_of_its_model(database: Database) -> None:
    plans = query_plans(database, lambda: Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST))

    (plan,) = [plan for statement, plan in plans.items() if "jobs.kind IN" in statement]
    assert "ix_jobs_live_names (project=? AND model=? AND kind=?)" in plan


def test_a_name_that_becomes_a_model_first_is_not_published_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, leases = Jobs(database, DEFAULT_PROJECT), Leases(database)
    monkeypatch.setattr("services.storage.jobs.jobs.require_own_name", lambda *_: None)  # two transactions at once
    jobs.create(named(BACKBONE_REQUEST, "pet-cnn"))  # type: ignore[arg-type]
    jobs.create(TRAIN_REQUEST)
    leases.finish(claimed(leases, JobKind.TRAIN).lease, MODEL_MANIFEST)

    with pytest.raises(Conflict, match="pet-cnn has become a model meanwhile"):
        leases.finish(claimed(leases, JobKind.BACKBONE).lease, BACKBONE_MANIFEST)
