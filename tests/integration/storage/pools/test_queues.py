"""Who holds a job."""

from contract.jobs import JobKind
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE
from services.storage.pools.queues import Holders
from services.storage.sweep.reconciler import Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import divided
from tests.support.clock import FakeClock


def test_nobody(database: Database, jobs: Jobs) -> None:
    jobs.create(TRAIN_REQUEST)
    assert Holders(database).names() == frozenset()


def test_those_who_have_claimed_until_they_are_through(database: Database, jobs: Jobs, leases: Leases) -> None:
    # given
    for request in (TRAIN_REQUEST, PREPROCESS_REQUEST):
        jobs.create(request)
    train = leases.claim(JobKind.TRAIN, "host:1")
    leases.claim(JobKind.PREPROCESS, "host:2")
    assert train
    assert Holders(database).names() == {"host:1", "host:2"}

    # when
    leases.release(train.lease)

    # then
    assert Holders(database).names() == {"host:2"}


def test_whose_lease_ran_out_until_that_is_repaired(
    database: Database, jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    jobs.create(TRAIN_REQUEST)
    leases.claim(JobKind.TRAIN, "host:1")
    clock.tick(LEASE.total_seconds() + 1)
    assert Holders(database).names() == {"host:1"}

    reconciler.repair()

    assert Holders(database).names() == frozenset()


def test_not_the_job_that_waits_for_its_parts(database: Database, leases: Leases) -> None:
    divided(database, 2)
    assert Holders(database).names() == frozenset()

    leases.claim(JobKind.PREPROCESS, "host:1")

    assert Holders(database).names() == {"host:1"}
