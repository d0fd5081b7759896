"""What the retention of a project deletes, and what it never does."""

from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, upload_key
from contract.audit import AuditAction
from contract.catalog import Traffic
from contract.errors import BadArchive, BadModel, NotFound
from contract.jobs import JobKind, JobRequest
from contract.kinds.predict import PredictionOutput
from contract.kinds.train import TrainSpec
from contract.projects import NewProjectRequest, ProjectChange, Retention, VersionRetention
from contract.references import UploadSource
from services.storage.access.audit import AuditFilter
from services.storage.catalog.uploads import new_upload_id
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.sweep import retention as module
from services.storage.sweep.retention import RetentionSweep
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    VET_REQUEST,
)
from tests.integration.storage.steps import claimed, ref
from tests.support.clock import FakeClock
from tests.support.publication import publish

DAY_S = 86400.0
OUTPUT = PredictionOutput(artifact=ref("predictions.csv"), count=1, failed=0, metrics=None)


@pytest.fixture
def stores(database: Database) -> Stores:
    stores = Stores(database, MemoryObjects())
    stores.projects.create(NewProjectRequest(name="lab"))
    return stores


@pytest.fixture
def lab(stores: Stores) -> ProjectStores:
    return stores.of("lab")


@pytest.fixture
def sweep(database: Database) -> RetentionSweep:
    return RetentionSweep(database, timedelta(days=30))


def keep(stores: Stores, **rules: object) -> None:
    stores.projects.change("lab", ProjectChange(retention=Retention.model_validate(rules)))


def sent(stores: Stores, project: str = "lab") -> str:
    upload_id = new_upload_id()
    stored = stores.objects.put(Bucket.UPLOADS, upload_key(upload_id, project), b"PK")
    return stores.of(project).uploads.add("a.zip", stored).id


def of_upload(request: JobRequest, upload_id: str) -> JobRequest:
    spec = request.spec.model_copy(update={"source": UploadSource(upload=upload_id)})
    return request.model_copy(update={"spec": spec})


def model_of(stores: Stores, dataset: str, project: str = "lab") -> None:
    spec = TrainSpec(dataset=dataset, model="pet-cnn")
    manifest = MODEL_MANIFEST.model_copy(update={"dataset": dataset})
    publish(stores, TRAIN_REQUEST.model_copy(update={"spec": spec}), manifest, project)


def models(own: ProjectStores) -> tuple[int, ...]:
    return own.models.named("pet-cnn").versions


def datasets(own: ProjectStores) -> tuple[int, ...]:
    return own.datasets.named("pets").versions


def test_by_default_everything_stays(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, "lab")
    publish(stores, PREDICT_REQUEST, OUTPUT, "lab")
    upload = sent(stores)
    clock.tick(10_000 * DAY_S)

    assert sweep.apply() == 0

    assert lab.uploads.get(upload).complete
    assert len(lab.jobs.list(JobFilter(), 10).items) == 2


def test_ended_jobs_go_after_some_days(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    # given jobs that have ended: one with an output, one that made a version, and one of another project
    keep(stores, jobs_days=90)
    predicted = publish(stores, PREDICT_REQUEST, OUTPUT, "lab")
    made = publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, "lab")
    other = publish(stores, PREDICT_REQUEST, OUTPUT)
    clock.tick(90 * DAY_S)
    live = lab.jobs.create(PREDICT_REQUEST)
    assert sweep.apply() == 0

    # when 90 days have passed
    clock.tick(1)
    assert [sweep.apply() for _ in range(2)] == [1, 0]

    # then only the first is gone, which the audit trail says
    with pytest.raises(NotFound):
        lab.jobs.get(predicted.id)
    assert {job.id for job in lab.jobs.list(JobFilter(), 10).items} == {made.id, live.id}
    assert stores.of(DEFAULT_PROJECT).jobs.output(other.id) == OUTPUT.artifact
    (entry,) = lab.audit.list(AuditFilter(actor="retention"), 10).items
    assert (entry.action, entry.subject, entry.actor_name) == (AuditAction.DELETE, f"jobs/{predicted.id}", "retention")


def test_the_instance_may_limit_how_long_ended_jobs_are_kept(
    database: Database, stores: Stores, lab: ProjectStores, clock: FakeClock
) -> None:
    # given a project with a rule of its own, and one without
    sweep = RetentionSweep(database, timedelta(days=10_000), keep_jobs=timedelta(days=30))
    keep(stores, jobs_days=90)
    for project in ("lab", DEFAULT_PROJECT):
        publish(stores, PREDICT_REQUEST, OUTPUT, project)
    clock.tick(30 * DAY_S + 1)

    assert sweep.apply() == 1

    assert len(lab.jobs.list(JobFilter(), 10).items) == 1
    assert stores.of(DEFAULT_PROJECT).jobs.list(JobFilter(), 10).items == ()


def test_an_upload_of_which_nothing_came_goes_some_days_after_its_last_job(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    # given uploads without a job, of a failed, a succeeded and a live job
    keep(stores, uploads_days=7)
    unused, failed, published, live = (sent(stores) for _ in range(4))
    publish(stores, of_upload(PREPROCESS_REQUEST, published), DATASET_MANIFEST, "lab")
    clock.tick(6 * DAY_S)
    lab.jobs.create(of_upload(PREPROCESS_REQUEST, failed))
    stores.leases.fail(claimed(stores.leases).lease, BadArchive("no zip"))
    lab.jobs.create(of_upload(PREPROCESS_REQUEST, live))
    clock.tick(2 * DAY_S)

    # when the first is eight days old
    assert sweep.apply() == 1

    # then it alone is gone
    with pytest.raises(NotFound):
        lab.uploads.get(unused)
    for upload in (failed, published, live):
        assert lab.uploads.get(upload).complete


def test_what_jobs_could_not_use_goes_after_a_month_in_every_project(
    stores: Stores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    own = stores.of(DEFAULT_PROJECT)
    upload, unused = sent(stores, DEFAULT_PROJECT), sent(stores, DEFAULT_PROJECT)
    first = own.jobs.create(of_upload(PREPROCESS_REQUEST, upload))
    own.jobs.cancel(first.id)
    clock.tick(20 * DAY_S)
    own.jobs.cancel(own.jobs.retry(first.id).id)
    clock.tick(30 * DAY_S)
    assert sweep.apply() == 0

    clock.tick(1)
    assert sweep.apply() == 1

    with pytest.raises(NotFound):
        own.uploads.get(upload)
    assert own.uploads.get(unused).complete


def test_old_models_go_but_the_newest_and_those_in_use(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    # given eight versions: an alias points at 1, with 2 as its shadow, and a live job starts from 3
    keep(stores, versions=VersionRetention(days=30, keep_last=2))
    for project in ("lab", DEFAULT_PROJECT):
        for _ in range(8):
            model_of(stores, "pets@1", project)
    lab.models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))
    lab.jobs.create(
        TRAIN_REQUEST.model_copy(update={"spec": TrainSpec(dataset="pets@1", model="next", init_from="pet-cnn@3")})
    )
    clock.tick(30 * DAY_S)
    assert sweep.apply() == 0

    # when they are old
    clock.tick(1)
    assert [sweep.apply() for _ in range(2)] == [3, 0]

    # then these and the newest two are kept
    assert models(lab) == (8, 7, 3, 2, 1)
    assert len(models(stores.of(DEFAULT_PROJECT))) == 8


def test_rejected_versions_do_not_count_among_the_newest(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    keep(stores, versions=VersionRetention(days=1, keep_last=1))
    publish(stores, VET_REQUEST, MODEL_MANIFEST, "lab")
    for _ in range(2):
        lab.jobs.create(VET_REQUEST)
        stores.leases.fail(claimed(stores.leases, JobKind.VET).lease, BadModel("no ONNX model"))
    clock.tick(2 * DAY_S)

    assert sweep.apply() == 2

    assert (lab.models.named("pet-vit").versions, lab.models.named("pet-vit").rejected) == ((1,), ())


@pytest.mark.parametrize("trained_on", [False, True])
def test_a_dataset_version_of_which_there_is_a_model_stays_unless_it_is_asked_for(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock, trained_on: bool
) -> None:
    # given four versions, of which the first has a model and the second is used by a live job
    keep(stores, versions=VersionRetention(days=1, keep_last=1, trained_on=trained_on))
    for _ in range(4):
        publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, "lab")
    model_of(stores, "pets@1")
    lab.jobs.create(TRAIN_REQUEST.model_copy(update={"spec": TrainSpec(dataset="pets@2", model="next")}))
    clock.tick(2 * DAY_S)

    assert sweep.apply() == (2 if trained_on else 1)

    assert datasets(lab) == ((4, 2) if trained_on else (4, 2, 1))
    assert models(lab) == (1,)


def test_a_dataset_version_goes_with_its_last_model(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock
) -> None:
    upload = sent(stores)
    publish(stores, of_upload(PREPROCESS_REQUEST, upload), DATASET_MANIFEST, "lab")
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST, "lab")
    model_of(stores, "pets@1")
    model_of(stores, "pets@2")
    keep(stores, versions=VersionRetention(days=1))
    clock.tick(2 * DAY_S)

    assert sweep.apply() == 2

    assert (models(lab), datasets(lab)) == ((2,), (2,))
    with pytest.raises(NotFound):
        lab.uploads.get(upload)


def test_a_pass_is_bounded(
    stores: Stores, lab: ProjectStores, sweep: RetentionSweep, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    keep(stores, jobs_days=1)
    for _ in range(5):
        publish(stores, PREDICT_REQUEST, OUTPUT, "lab")
    clock.tick(2 * DAY_S)

    assert [sweep.apply() for _ in range(4)] == [2, 2, 1, 0]
