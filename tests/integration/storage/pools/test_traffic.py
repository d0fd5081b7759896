"""What pools had to do: requests by minute, and jobs."""

from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.usage import Purpose, Use
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.pools.traffic import Traffic
from services.storage.pools.usage import UsageLedger
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.clock import FakeClock


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


def test_requests_are_counted_by_minute_and_deleted_after_eight_days(
    traffic: Traffic, database: Database, clock: FakeClock
) -> None:
    start = clock.now
    traffic.add("inference", 5)
    traffic.add("inference", 2)
    clock.tick(120)
    traffic.add("inference", 1)
    UsageLedger(database).add("inference", False, {Use(Purpose.ONLINE): 4.0})

    counted = traffic.requests("inference", start - timedelta(minutes=1), clock.now + timedelta(minutes=1))
    assert [arrived.number for arrived in counted] == [7, 1]
    assert counted[1].at - counted[0].at == timedelta(minutes=2)
    assert traffic.seconds_per_request("inference") == 0.5
    assert traffic.seconds_per_request("trainer") is None

    clock.tick(9 * 86400)
    traffic.prune()
    assert traffic.requests("inference", start - timedelta(days=1), clock.now) == []


def test_jobs_count_when_they_were_submitted(traffic: Traffic, database: Database, clock: FakeClock) -> None:
    # given a training of five minutes, and one that waits
    jobs, leases, start = Jobs(database, DEFAULT_PROJECT), Leases(database), clock.now
    jobs.create(TRAIN_REQUEST)
    claim = leases.claim("train", "worker")
    assert claim is not None
    clock.tick(30)
    jobs.create(TRAIN_REQUEST)
    clock.tick(20)
    leases.finish(claim.lease, MODEL_MANIFEST)
    clock.tick(1)

    arrived, seconds = traffic.jobs("trainer", start, clock.now)

    assert [(one.at - start).total_seconds() for one in arrived] == [0, 30]
    assert seconds == 50
    assert traffic.jobs("preprocess", start, clock.now) == ([], None)
