"""Published datasets."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.catalog import Dataset, DatasetVersion
from contract.division import Division
from contract.errors import Conflict, NotFound
from contract.jobs import JobKind, JobRequest
from contract.references import Reference, UploadSource
from services.storage.catalog.datasets import Datasets
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from tests.examples import DATASET_MANIFEST, PREDICT_REQUEST, PREDICT_SPEC, TRAIN_REQUEST, WHEN
from tests.integration.storage.steps import claimed, divided, publish_dataset, publish_model
from tests.support.clock import FakeClock


def test_a_version_shows_its_manifest_without_references_to_objects(database: Database, datasets: Datasets) -> None:
    reference = publish_dataset(database, "pets")
    (job,) = Jobs(database, DEFAULT_PROJECT).list(JobFilter(), 10).items

    version = datasets.get(reference)

    assert version == DatasetVersion(
        name="pets",
        version=1,
        job=job.id,
        created_at=WHEN,
        shape=(3, 32, 32),
        **DATASET_MANIFEST.model_dump(exclude={"shards", "index", "moments", "originals"}),
    )


def test_a_data_set_was_created_with_its_first_version(
    database: Database, datasets: Datasets, clock: FakeClock
) -> None:
    publish_dataset(database, "pets")
    clock.tick(60)
    publish_dataset(database, "pets")

    assert datasets.named("pets") == Dataset(name="pets", versions=(2, 1), created_at=WHEN)
    assert datasets.list(10).items == (datasets.named("pets"),)


def test_a_data_set_has_no_aliases(database: Database, datasets: Datasets) -> None:
    publish_dataset(database, "pets")

    with pytest.raises(NotFound, match="have no aliases"):
        datasets.get(Reference(name="pets", alias="latest"))


@pytest.mark.parametrize("text", ["pets@1", "pets"])
@pytest.mark.parametrize("request_", [TRAIN_REQUEST, PREDICT_REQUEST], ids=lambda request_: request_.kind)
def test_a_version_that_a_live_job_uses_cannot_be_deleted(
    database: Database, datasets: Datasets, text: str, request_: JobRequest
) -> None:
    # given
    publish_dataset(database, "pets")
    jobs = Jobs(database, DEFAULT_PROJECT)
    job = jobs.create(request_)  # of pets@1

    # when
    with pytest.raises(Conflict, match="pets@1"):
        datasets.delete(Reference.parse(text))

    # then
    assert datasets.named("pets").versions == (1,)

    # and when the job has ended
    jobs.cancel(job.id)
    datasets.delete(Reference.parse(text))
    with pytest.raises(NotFound):
        datasets.named("pets")


def test_a_job_that_will_publish_a_version_does_not_prevent_deletions(database: Database, datasets: Datasets) -> None:
    # given a dataset, and a job that has divided and will publish its next version
    publish_dataset(database, "pets")
    divided(database, 2)

    datasets.delete(Reference(name="pets", version=1))

    with pytest.raises(NotFound):
        datasets.named("pets")


def test_a_job_does_not_prevent_the_deletion_of_other_versions(database: Database, datasets: Datasets) -> None:
    for _ in range(2):
        publish_dataset(database, "pets")
    Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST)  # of pets@1

    datasets.delete(Reference(name="pets", version=2))

    assert datasets.named("pets").versions == (1,)


def test_a_version_knows_the_models_and_predictions_that_used_it(database: Database, datasets: Datasets) -> None:
    reference, other = publish_dataset(database, "pets"), publish_dataset(database, "pets")
    model = publish_model(database, "pet-cnn")
    job = Jobs(database, DEFAULT_PROJECT).create(PREDICT_REQUEST)
    Parts(database).divide(claimed(Leases(database), JobKind.PREDICT).lease, Division(parts=({"number": 0},)))
    Jobs(database, DEFAULT_PROJECT).create(
        PREDICT_REQUEST.model_copy(update={"spec": PREDICT_SPEC.model_copy(update={"input": UploadSource(upload="u")})})
    )

    assert datasets.used_by([reference, other]) == ((str(model),), (job.id,))
    assert datasets.used_by([other]) == ((), ())
    assert datasets.used_by([]) == ((), ())
