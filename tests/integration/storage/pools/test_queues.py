"""Which workers hold a job."""

from contract.jobs import JobKind
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE
from services.storage.pools.queues import JobHolders
from services.storage.sweep.reconciler import Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import divided
from tests.support.clock import FakeClock


def test_without_claims_there_are_no_holders(database: Database, jobs: Jobs) -> None:
    jobs.create(TRAIN_REQUEST)
    assert JobHolders(database).names() == frozenset()


def test_workers_hold_jobs_until_they_finish_or_release_them(database: Database, jobs: Jobs, leases: Leases) -> None:
    # given
    for request in (TRAIN_REQUEST, PREPROCESS_REQUEST):
        jobs.create(request)
    train = leases.claim(JobKind.TRAIN, "host:1")
    leases.claim(JobKind.PREPROCESS, "host:2")
    assert train
    assert JobHolders(database).names() == {"host:1", "host:2"}

    # when
    leases.release(train.lease)

    # then
    assert JobHolders(database).names() == {"host:2"}


def test_a_worker_with_an_expired_lease_holds_its_job_until_it_is_repaired(
    database: Database, jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    jobs.create(TRAIN_REQUEST)
    leases.claim(JobKind.TRAIN, "host:1")
    clock.tick(LEASE.total_seconds() + 1)
    assert JobHolders(database).names() == {"host:1"}

    reconciler.repair()

    assert JobHolders(database).names() == frozenset()


def test_a_job_that_waits_for_its_parts_has_no_holder(database: Database, leases: Leases) -> None:
    divided(database, 2)
    assert JobHolders(database).names() == frozenset()

    leases.claim(JobKind.PREPROCESS, "host:1")

    assert JobHolders(database).names() == {"host:1"}
