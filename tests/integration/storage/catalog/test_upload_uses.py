"""Which uploads are kept, and which go with the version or the job that used them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, upload_key
from contract.division import Outcome
from contract.errors import BadArchive, BadModel, Conflict, NotFound
from contract.jobs import Job, JobKind
from contract.kinds.kind import KindRequest
from contract.kinds.predict import PredictionOutput
from contract.projects import NewProjectRequest
from contract.references import Reference, UploadSource
from services.storage.access.audit import Actor, AuditFilter
from services.storage.catalog.uploads import new_upload_id
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.sweep.abandoned import AbandonedUploads
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    DATASET_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    VET_REQUEST,
    VETTED_MANIFEST,
)
from tests.integration.storage.steps import claimed, ref, together
from tests.support.clock import FakeClock

KINDS: dict[str, tuple[KindRequest, Outcome, Callable[[ProjectStores, str], None]]] = {
    "dataset": (PREPROCESS_REQUEST, DATASET_MANIFEST, lambda s, name: s.datasets.delete(Reference.parse(name))),
    "model": (VET_REQUEST, VETTED_MANIFEST, lambda s, name: s.models.delete(Reference.parse(name))),
    "backbone": (BACKBONE_REQUEST, BACKBONE_MANIFEST, lambda s, name: s.backbones.delete(Reference.parse(name))),
}


@pytest.fixture(params=[DEFAULT_PROJECT, "lab"])
def project(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def objects(clock: FakeClock) -> MemoryObjects:
    return MemoryObjects(clock)


@pytest.fixture
def stores(database: Database, objects: MemoryObjects) -> Stores:
    stores = Stores(database, objects)
    stores.projects.create(NewProjectRequest(name="lab"))
    return stores


@pytest.fixture
def own(stores: Stores, project: str) -> ProjectStores:
    return stores.of(project, actor=Actor("0123abcd", "test", "a-request", project))


def sent(stores: Stores, project: str) -> str:
    upload_id = new_upload_id()
    stored = stores.objects.put(Bucket.UPLOADS, upload_key(upload_id, project), b"PK")
    return stores.of(project).uploads.add("a.zip", stored).id


def of_upload(request: KindRequest, upload_id: str) -> KindRequest:
    spec = request.spec.model_copy(update={"source": UploadSource(upload=upload_id)})
    return request.model_copy(update={"spec": spec})


def ended(stores: Stores, own: ProjectStores, request: KindRequest, outcome: Outcome) -> Job:
    own.jobs.create(request)
    return stores.leases.finish(claimed(stores.leases, JobKind(request.kind)).lease, outcome)


def collected(stores: Stores, clock: FakeClock) -> int:
    """Collect an hour later, and return how many objects were deleted."""
    clock.tick(3600)
    return AbandonedUploads(stores.database, stores.objects, timedelta(days=1), timedelta(hours=1)).collect()


@pytest.mark.parametrize("noun", KINDS)
def test_an_upload_goes_with_the_last_version_that_came_from_it(
    stores: Stores, own: ProjectStores, project: str, noun: str, clock: FakeClock
) -> None:
    # given an upload of which two versions were made
    request, outcome, delete = KINDS[noun]
    upload = sent(stores, project)
    results = [ended(stores, own, of_upload(request, upload), outcome).result for _ in range(2)]
    names = [str((result or {})[noun]) for result in results]
    with pytest.raises(Conflict, match=f"the {noun} {names[0]} came from the upload"):
        own.uploads.delete(upload)

    # when one of them is deleted, the upload stays
    delete(own, names[0])
    assert collected(stores, clock) == 0
    assert own.uploads.ref(upload).size == 2

    # and with the other one it goes
    delete(own, names[1])
    with pytest.raises(NotFound):
        own.uploads.get(upload)
    assert collected(stores, clock) == 1
    assert own.audit.list(AuditFilter(subject=f"uploads/{upload}"), 9).items[0].detail.startswith("with jobs/")


def test_an_upload_goes_with_a_rejected_version(stores: Stores, own: ProjectStores, project: str) -> None:
    upload = sent(stores, project)
    own.jobs.create(of_upload(VET_REQUEST, upload))
    rejected = stores.leases.fail(claimed(stores.leases, JobKind.VET).lease, BadModel("no ONNX model"))
    assert rejected.result is not None

    own.models.delete(Reference.parse(rejected.result["model"]))

    with pytest.raises(NotFound):
        own.uploads.get(upload)


def test_a_live_job_keeps_its_upload(stores: Stores, own: ProjectStores, project: str) -> None:
    # given a version and a job of the same upload
    upload = sent(stores, project)
    ended(stores, own, of_upload(PREPROCESS_REQUEST, upload), DATASET_MANIFEST)
    live = own.jobs.create(of_upload(PREPROCESS_REQUEST, upload))

    # when the version is deleted, the job still has its upload
    own.datasets.delete(Reference(name="pets", version=1))
    assert own.uploads.get(upload).complete
    with pytest.raises(Conflict, match="a job that has not ended uses the upload"):
        own.uploads.delete(upload)

    # and when the job has ended, the upload can be deleted
    own.jobs.cancel(live.id)
    own.uploads.delete(upload)
    with pytest.raises(NotFound):
        own.uploads.delete(upload)


def test_a_job_of_another_project_keeps_nothing(stores: Stores) -> None:
    upload = sent(stores, "lab")
    stores.of(DEFAULT_PROJECT).jobs.create(of_upload(PREPROCESS_REQUEST, upload))

    with pytest.raises(NotFound):
        stores.of(DEFAULT_PROJECT).uploads.delete(upload)
    stores.of("lab").uploads.delete(upload)


def test_deleting_an_ended_job_deletes_what_only_it_used(
    stores: Stores, own: ProjectStores, project: str, clock: FakeClock
) -> None:
    # given a batch prediction of an upload, and a failed job that was repeated
    upload, other = sent(stores, project), sent(stores, project)
    spec = PREDICT_REQUEST.spec.model_copy(update={"input": UploadSource(upload=upload)})
    output = PredictionOutput(artifact=ref("predictions.csv"), count=1, failed=0, metrics=None)
    predicted = ended(stores, own, PREDICT_REQUEST.model_copy(update={"spec": spec}), output)
    failed = own.jobs.create(of_upload(PREPROCESS_REQUEST, other))
    stores.leases.fail(claimed(stores.leases).lease, BadArchive("no zip"))
    repeated = own.jobs.retry(failed.id)
    with pytest.raises(Conflict, match="the job is queued; cancel it first"):
        own.jobs.delete(repeated.id)
    own.jobs.cancel(repeated.id)

    # when they are deleted
    own.jobs.delete(predicted.id)
    own.jobs.delete(failed.id)

    # then the upload of the copy is kept, so that it can be repeated
    for job in (predicted, failed):
        with pytest.raises(NotFound):
            own.jobs.get(job.id)
        assert own.events.after(job.id, 0) == ()
    assert collected(stores, clock) == 1
    assert own.uploads.get(other).complete
    own.jobs.delete(repeated.id)
    assert collected(stores, clock) == 1


def test_a_job_stays_for_as_long_as_its_version(stores: Stores, own: ProjectStores, project: str) -> None:
    job = ended(stores, own, of_upload(PREPROCESS_REQUEST, sent(stores, project)), DATASET_MANIFEST)

    with pytest.raises(Conflict, match="the job made the dataset pets@1; delete that version first"):
        own.jobs.delete(job.id)

    own.datasets.delete(Reference(name="pets", version=1))
    own.jobs.delete(job.id)


def test_an_output_is_deleted_and_the_result_stays(stores: Stores, own: ProjectStores) -> None:
    output = PredictionOutput(artifact=ref("predictions.csv"), count=1, failed=0, metrics=None)
    job = ended(stores, own, PREDICT_REQUEST, output)

    own.jobs.delete_output(job.id)

    assert own.jobs.get(job.id).result == job.result
    for call in (own.jobs.output, own.jobs.delete_output):
        with pytest.raises(Conflict, match="the output of the job was deleted"):
            call(job.id)
    with pytest.raises(Conflict, match="the job is queued and has no output"):
        own.jobs.delete_output(own.jobs.create(PREDICT_REQUEST).id)


def test_of_a_deletion_and_a_new_job_one_is_first(stores: Stores, own: ProjectStores, project: str) -> None:
    """Either the job keeps the upload, or the upload is gone before the job was accepted; never both."""
    for _ in range(10):
        upload = sent(stores, project)

        def act(number: int, upload: str = upload) -> bool:
            try:
                if number:
                    own.uploads.delete(upload)
                else:
                    own.jobs.create(of_upload(PREPROCESS_REQUEST, upload))
            except Conflict:
                return False
            return True

        _, deleted = together(2, act)
        if deleted:
            with pytest.raises(NotFound):
                own.uploads.get(upload)
        else:
            assert own.uploads.get(upload).complete
