"""Rejected versions: they can be read and deleted, and nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.catalog import Traffic
from contract.errors import BadDataset, BadModel, NotFound, ObjectsUnavailable, TidepoolError
from contract.jobs import Job, JobKind, JobState
from contract.references import Reference
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.memory_objects import MemoryObjects
from services.storage.sweep.collector import Collector
from tests.examples import VET_REQUEST, VETTED_MANIFEST
from tests.integration.storage.steps import claimed

REASON = "the file is no ONNX model"
FIRST, SECOND = Reference(name="pet-vit", version=1), Reference(name="pet-vit", version=2)


def vetted(database: Database, error: TidepoolError | None = None) -> Job:
    """A vetting job that has succeeded, or failed with `error`."""
    Jobs(database, DEFAULT_PROJECT).create(VET_REQUEST)
    leases = Leases(database)
    lease = claimed(leases, JobKind.VET).lease
    return leases.fail(lease, error) if error else leases.finish(lease, VETTED_MANIFEST)


def test_a_good_file_becomes_a_ready_version(database: Database, models: Models) -> None:
    job = vetted(database)

    assert (job.state, job.result) == (JobState.SUCCEEDED, {"model": "pet-vit@1", "status": "ready"})
    version = models.get(FIRST)
    assert (version.status, version.reason, version.dataset, version.metrics) == ("ready", None, None, None)
    assert (version.inputs, version.outputs) == (VETTED_MANIFEST.inputs, VETTED_MANIFEST.outputs)
    assert models.manifest(Reference(name="pet-vit")) == (FIRST, VETTED_MANIFEST)


def test_a_bad_file_becomes_a_rejected_version_with_its_reason(database: Database, models: Models) -> None:
    job = vetted(database, BadModel(REASON))

    assert (job.state, job.result) == (JobState.FAILED, {"model": "pet-vit@1", "status": "rejected"})
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("bad_model", REASON)
    version = models.get(FIRST)
    assert (version.status, version.reason, version.job) == ("rejected", REASON, job.id)
    assert (models.named("pet-vit").versions, models.named("pet-vit").rejected) == ((), (1,))
    assert [model.name for model in models.list(10).items] == ["pet-vit"]


@pytest.mark.parametrize("error", [ObjectsUnavailable("away"), BadDataset("another failure")], ids=type)
def test_another_failure_leaves_no_version(database: Database, models: Models, error: TidepoolError) -> None:
    assert vetted(database, error).result is None

    with pytest.raises(NotFound):
        models.named("pet-vit")


@pytest.mark.parametrize(
    "use",
    [
        lambda models: models.manifest(SECOND),
        lambda models: models.route(SECOND),
        lambda models: models.set_alias("pet-vit", "live", 2),
        lambda models: models.split_alias("pet-vit", "live", Traffic(versions={1: 90, 2: 10})),
        lambda models: models.split_alias("pet-vit", "live", Traffic(versions={1: 100}, shadow=2)),
    ],
)
def test_a_rejected_version_cannot_be_used(database: Database, models: Models, use: Callable[[Models], object]) -> None:
    vetted(database)
    vetted(database, BadModel(REASON))

    with pytest.raises(BadModel, match=f"pet-vit@2 was rejected: {REASON}"):
        use(models)

    assert models.named("pet-vit").aliases == ()


def test_a_bare_name_never_resolves_to_a_rejected_version(database: Database, models: Models) -> None:
    vetted(database, BadModel(REASON))
    with pytest.raises(NotFound):
        models.route(Reference(name="pet-vit"))

    vetted(database)
    vetted(database, BadModel(REASON))

    assert models.manifest(Reference(name="pet-vit"))[0] == SECOND
    assert models.route(Reference(name="pet-vit")).shares[0].reference == SECOND


def test_a_rejected_version_can_be_deleted(database: Database, models: Models) -> None:
    vetted(database, BadModel(REASON))

    models.delete(FIRST)

    with pytest.raises(NotFound):
        models.get(FIRST)


def test_the_collector_ignores_rejected_versions(database: Database) -> None:
    vetted(database, BadModel(REASON))

    assert Collector(database, MemoryObjects(), timedelta()).collect() == 0


def test_a_worker_of_two_kinds_claims_the_oldest_job_of_both(database: Database, leases: Leases) -> None:
    jobs = Jobs(database, DEFAULT_PROJECT)
    created = [jobs.create(VET_REQUEST).id for _ in range(2)]
    kinds = {JobKind.PREDICT, JobKind.VET}

    assert leases.claim(JobKind.PREDICT, "worker") is None
    claims = [leases.claim(kinds, "worker") for _ in range(3)]

    assert [claim and claim.job.id for claim in claims] == [*created, None]
