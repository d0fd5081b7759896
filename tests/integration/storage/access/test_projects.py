"""Projects: their table, and stores that see only their own."""

import pytest
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT, Role
from contract.artifacts import Bucket, upload_key
from contract.catalog import Traffic
from contract.errors import Conflict, NotFound
from contract.jobs import JobKind, JobState
from contract.projects import NewProjectRequest, ProjectChange
from contract.references import Reference
from contract.usage import Purpose, UsageBy, Use
from services.storage.access.audit import Actor, AuditFilter
from services.storage.access.projects import Projects
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.migrate import migrate
from services.storage.references import Owner
from services.storage.stores import Stores
from services.storage.tables import object_references
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    WHEN,
)
from tests.support.publication import publish

CNN, PETS = Reference(name="pet-cnn", version=1), Reference(name="pets", version=1)


@pytest.fixture
def stores(database: Database) -> Stores:
    stores = Stores(database, MemoryObjects())
    stores.projects.ensure_default()
    for name in ("lab", "shop"):
        stores.projects.create(NewProjectRequest(name=name))
    return stores


def test_projects_are_created_changed_and_listed(stores: Stores) -> None:
    stores.projects.change("lab", ProjectChange(description="cats"))

    page = stores.projects.list(2)
    assert ([project.name for project in page.items], page.next) == ([DEFAULT_PROJECT, "lab"], "lab")
    assert [project.name for project in stores.projects.list(2, page.next).items] == ["shop"]
    assert stores.projects.get("lab").description == "cats"
    assert stores.projects.get("lab").created_at == WHEN
    with pytest.raises(Conflict, match="there is a project lab already"):
        stores.projects.create(NewProjectRequest(name="lab"))
    for call in (stores.projects.get, stores.projects.delete):
        with pytest.raises(NotFound, match="there is no project 'none'"):
            call("none")
    with pytest.raises(NotFound):
        stores.projects.change("none", ProjectChange(description=""))


def test_only_an_empty_project_is_deleted(stores: Stores) -> None:
    key = stores.of("lab").keys.create("ann", Role.ADMIN)

    with pytest.raises(Conflict, match="the project lab has keys; only an empty project can be deleted"):
        stores.projects.delete("lab")
    with pytest.raises(Conflict, match="the project default cannot be deleted"):
        stores.projects.delete(DEFAULT_PROJECT)

    stores.of("lab").keys.delete(key.id)
    stores.projects.delete("lab")
    assert [project.name for project in stores.projects.list(10).items] == [DEFAULT_PROJECT, "shop"]


def test_a_later_project_of_the_same_name_sees_nothing_of_the_earlier_one(stores: Stores, database: Database) -> None:
    actor = Actor("0123abcd", "ann", "a-request", "lab")
    lab = stores.of("lab", actor=actor)
    lab.keys.delete(lab.keys.create("bob", Role.VIEWER).id)
    stores.ledger.add("trainer", False, {Use(Purpose.JOB, "pet-cnn", "a-job", "lab"): 1.0})

    stores.projects.delete("lab")
    stores.projects.create(NewProjectRequest(name="lab"))

    assert lab.audit.list(AuditFilter(), 10).items == ()
    assert len(stores.of(DEFAULT_PROJECT).audit.list(AuditFilter(), 10).items) == 2
    today = WHEN.date()
    assert stores.ledger.sums("lab", today, today, UsageBy.MODEL, 10).items == ()


def test_a_key_belongs_to_a_project(stores: Stores) -> None:
    key = stores.of("lab").keys.create("ann", Role.ADMIN)

    assert stores.keys.authenticate(key.secret).project == "lab"
    assert [listed.id for listed in stores.of("lab").keys.list()] == [key.id]
    assert stores.of("shop").keys.list() == ()
    with pytest.raises(NotFound, match="there is no such key"):
        stores.of("shop").keys.delete(key.id)


def test_two_projects_use_the_same_names(stores: Stores, database: Database) -> None:
    # given two projects with the same names, and two versions in one of them
    for project in ("lab", "shop", "shop"):
        publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, project)
        publish(stores, TRAIN_REQUEST, MODEL_MANIFEST, project)
        publish(stores, BACKBONE_REQUEST, BACKBONE_MANIFEST, project)
    lab, shop = stores.of("lab"), stores.of("shop")
    lab.models.set_alias("pet-cnn", "production", 1)
    shop.models.split_alias("pet-cnn", "production", Traffic(versions={1: 50, 2: 50}, shadow=2))

    # then each sees its own
    assert [lab.datasets.named("pets").versions, shop.datasets.named("pets").versions] == [(1,), (2, 1)]
    assert [lab.models.named("pet-cnn").versions, shop.models.named("pet-cnn").versions] == [(1,), (2, 1)]
    assert [len(project.backbones.named(BACKBONE_REQUEST.spec.backbone).versions) for project in (lab, shop)] == [1, 2]
    assert [len(project.jobs.list(JobFilter(), 10).items) for project in (lab, shop)] == [3, 6]
    route = shop.models.route(Reference(name="pet-cnn", alias="production"))
    assert ([share.project for share in route.shares], route.shadow and route.shadow.project) == (["shop"] * 2, "shop")
    with pytest.raises(NotFound):
        stores.of(DEFAULT_PROJECT).models.named("pet-cnn")

    # and deletes its own
    lab.models.delete_alias("pet-cnn", "production")
    lab.models.delete(CNN)
    lab.datasets.delete(PETS)
    assert shop.models.named("pet-cnn").aliases[0].alias == "production"
    assert shop.datasets.named("pets").versions == (2, 1)
    with database.read() as connection:
        owners = select(object_references.c.owner_id).where(
            object_references.c.owner_kind.in_([Owner.MODEL_VERSION, Owner.DATASET_VERSION])
        )
        assert set(connection.execute(owners).scalars()) == {
            "shop/pet-cnn@1",
            "shop/pet-cnn@2",
            "shop/pets@1",
            "shop/pets@2",
        }


def test_a_job_in_use_protects_only_its_own_projects_versions(stores: Stores) -> None:
    for project in ("lab", "shop"):
        publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, project)
    stores.of("lab").jobs.create(TRAIN_REQUEST)  # of pets@1

    stores.of("shop").datasets.delete(PETS)
    with pytest.raises(Conflict, match="uses pets@1"):
        stores.of("lab").datasets.delete(PETS)


def test_a_strangers_job_and_upload_do_not_exist(stores: Stores) -> None:
    lab, shop = stores.of("lab"), stores.of("shop")
    job = lab.jobs.create(PREPROCESS_REQUEST)
    upload = lab.uploads.expect("an-upload", "pets.zip", 1, None)

    for call in (shop.jobs.get, shop.jobs.cancel, shop.jobs.retry, shop.jobs.output):
        with pytest.raises(NotFound, match="there is no such job"):
            call(job.id)
    for call in (shop.uploads.get, shop.uploads.ref):
        with pytest.raises(NotFound, match="there is no such upload"):
            call(upload.id)
    shop.uploads.forget(upload.id)
    assert lab.uploads.get(upload.id) == upload
    assert shop.events.after(job.id, 0) == ()
    assert len(lab.events.after(job.id, 0)) == 1
    assert lab.jobs.get(job.id).state is JobState.QUEUED


def test_workers_publish_in_the_project_of_the_job(stores: Stores) -> None:
    stores.of("lab").jobs.create(PREPROCESS_REQUEST)

    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")

    assert claim is not None
    assert claim.job.project == "lab"
    stores.leases.finish(claim.lease, DATASET_MANIFEST)
    assert stores.of("lab").datasets.named("pets").versions == (1,)


def test_usage_is_that_of_the_project(stores: Stores) -> None:
    stores.ledger.add(
        "inference",
        False,
        {
            Use(Purpose.READY): 100.0,
            Use(Purpose.ONLINE, "pet-cnn"): 1.0,
            Use(Purpose.ONLINE, "pet-cnn", project="lab"): 2.0,
            Use(Purpose.JOB, "pet-cnn", "a-job", "lab"): 4.0,
        },
    )
    today = WHEN.date()

    def line(project: str, by: UsageBy) -> list[tuple[str, float | None, float, float]]:
        items = stores.ledger.sums(project, today, today, by, 10).items
        return [(item.key, item.ready_s, item.online_s, item.jobs_s) for item in items]

    assert line("lab", UsageBy.MODEL) == [("pet-cnn", None, 2.0, 4.0)]
    assert line("lab", UsageBy.JOB) == [("a-job", None, 0.0, 4.0)]
    assert line("lab", UsageBy.DAY) == [(str(today), None, 2.0, 4.0)]
    assert line("lab", UsageBy.POOL) == [("inference", None, 2.0, 4.0)]
    assert line(DEFAULT_PROJECT, UsageBy.MODEL) == [("pet-cnn", None, 1.0, 0.0)]
    assert (str(today), 100.0, 1.0, 0.0) in line(DEFAULT_PROJECT, UsageBy.DAY)


def test_objects_of_other_projects_than_default_have_its_name_in_their_keys(stores: Stores) -> None:
    objects = stores.objects
    ref = objects.put(Bucket.UPLOADS, upload_key("an-upload", "lab"), b"PK")

    upload = stores.of("lab").uploads.add("pets.zip", ref)

    assert (upload.id, ref.key) == ("an-upload", "lab/an-upload")
    assert stores.of("lab").uploads.ref("an-upload").key == "lab/an-upload"
    assert upload_key("an-upload") == "an-upload"


def test_the_default_project_exists_after_the_migrations(database_url: str) -> None:
    database = Database.connect(database_url)
    migrate(database)

    assert Projects(database).get(DEFAULT_PROJECT).name == DEFAULT_PROJECT
