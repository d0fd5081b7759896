"""References of live jobs to objects: checkpoints and the documents of parts, registered until the job ends."""

from collections.abc import Callable

import pytest

from contract.access import DEFAULT_PROJECT
from contract.division import Division, PartDone
from contract.errors import BadArchive, BadImage
from contract.jobs import Job, JobKind
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE
from services.storage.references import Owner
from services.storage.sweep.reconciler import Reconciler
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
)
from tests.integration.storage.steps import claimed, owned, ref
from tests.support.clock import FakeClock

ENDS: dict[str, Callable[[Database, FakeClock, str], object]] = {
    "cancelled": lambda database, clock, job: Jobs(database, DEFAULT_PROJECT).cancel(job),
    "expired": lambda database, clock, job: (clock.tick(3601), Reconciler(database).repair()),
    "failed": lambda database, clock, job: Leases(database).fail(
        claimed(Leases(database), JobKind.TRAIN).lease, BadArchive("the file is not a zip archive")
    ),
    "succeeded": lambda database, clock, job: Leases(database).finish(
        claimed(Leases(database), JobKind.TRAIN).lease, MODEL_MANIFEST
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_latest_checkpoint_is_registered_until_the_job_ends(
    database: Database, jobs: Jobs, leases: Leases, clock: FakeClock, end: str
) -> None:
    # given
    job = jobs.create(TRAIN_REQUEST)
    lease = claimed(leases, JobKind.TRAIN).lease
    for name in ("epoch-1", "epoch-2", "epoch-2"):
        leases.save_checkpoint(lease, ref(name))
    assert owned(database, Owner.JOB_CHECKPOINT) == {job.id: {"epoch-2"}}

    # when the job moves to another replica
    leases.release(lease)
    assert owned(database, Owner.JOB_CHECKPOINT) == {job.id: {"epoch-2"}}

    # and ends
    ENDS[end](database, clock, job.id)
    assert jobs.get(job.id).state == end
    assert owned(database, Owner.JOB_CHECKPOINT) == {}


def divided(jobs: Jobs, leases: Leases, parts: Parts) -> Job:
    """A job of two parts: the first has finished, and the second has saved a checkpoint and waits for a replica."""
    job = jobs.create(PREPROCESS_REQUEST)
    plan = ref("plan").model_dump(mode="json")
    division = Division(parts=({"plan": plan, "files": [ref("0").model_dump()]}, {"plan": plan, "files": []}))
    parts.divide(claimed(leases).lease, division)
    first, second = claimed(leases).lease, claimed(leases).lease
    leases.save_checkpoint(first, ref("first-checkpoint"))
    leases.save_checkpoint(second, ref("second-checkpoint"))
    parts.finish(first, PartDone(result={"shards": [{"images": ref("images").model_dump(mode="json")}]}))
    leases.release(second)
    return job


def test_the_documents_of_parts_are_registered_until_the_job_succeeds(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    # given
    job = divided(jobs, leases, parts)
    assert owned(database, Owner.JOB_PARTS) == {job.id: {"plan", "0", "images"}}
    assert list(owned(database, Owner.JOB_CHECKPOINT).values()) == [{"second-checkpoint"}]

    # when the last part is done
    parts.finish(claimed(leases).lease, PartDone(result={}))
    assert owned(database, Owner.JOB_CHECKPOINT) == {}
    assert owned(database, Owner.JOB_PARTS) == {job.id: {"plan", "0", "images"}}

    # and the job publishes
    leases.finish(claimed(leases).lease, DATASET_MANIFEST)
    assert owned(database, Owner.JOB_PARTS) == {}
    assert owned(database, Owner.DATASET_VERSION).keys() == {"pets@1"}


def test_a_failed_part_ends_all_references_of_its_job(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    job = divided(jobs, leases, parts)

    leases.fail(claimed(leases).lease, BadImage("cat/1.png is damaged"))

    assert jobs.get(job.id).state == "failed"
    assert (owned(database, Owner.JOB_PARTS), owned(database, Owner.JOB_CHECKPOINT)) == ({}, {})


def test_cancelling_a_divided_job_ends_all_its_references(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts
) -> None:
    job = divided(jobs, leases, parts)

    jobs.cancel(job.id)

    assert (owned(database, Owner.JOB_PARTS), owned(database, Owner.JOB_CHECKPOINT)) == ({}, {})


def test_a_checkpoint_saved_after_the_job_was_cancelled_is_dropped_with_its_part(
    database: Database, jobs: Jobs, leases: Leases, parts: Parts, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given a part whose worker does not know yet that the job was cancelled
    job = divided(jobs, leases, parts)
    part = claimed(leases).lease
    jobs.cancel(job.id)
    leases.save_checkpoint(part, ref("late"))
    assert owned(database, Owner.JOB_CHECKPOINT) == {part.job_id: {"late"}}

    # when
    clock.tick(LEASE.total_seconds() + 1)
    reconciler.repair()

    # then
    assert owned(database, Owner.JOB_CHECKPOINT) == {}
