"""A replica writes its usage to the ledger."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable
from contract.usage import Purpose, UsageBy, Use
from messaging.busy import Busy
from services.storage.database import Database
from services.storage.pools.usage import UsageLedger
from tests.examples import WHEN
from tests.support.clock import FakeClock
from tests.unit.messaging.test_busy import Clock
from worker.usage_writer import UsageWriter

TODAY = WHEN.date()


class Replica:
    """A usage writer with its ledger and a fake clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = UsageLedger(Database.in_memory(FakeClock()))
        self.online, self.jobs = Busy(self.clock), Busy(self.clock)
        self.usage_writer = UsageWriter("inference", True, self.ledger, (self.online, self.jobs), self.clock)

    def work(self, seconds: float) -> None:
        """Answer batches of one model and train another at the same time."""
        answering, training = Use(Purpose.ONLINE, "cat"), Use(Purpose.JOB, "dog", "job-1")
        self.online.begin(answering)
        self.jobs.begin(training)
        self.clock.now += seconds
        self.online.end(answering)
        self.jobs.end(training)

    def written(self) -> dict[str, tuple[float, float]]:
        items = self.ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.MODEL, 10).items
        return {line.key: (line.online_s, line.jobs_s) for line in items}

    def ready(self) -> list[tuple[float | None, float]]:
        items = self.ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.POOL, 10).items
        return [(line.ready_s, line.gpu_s) for line in items]


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_every_second_is_written_once(replica: Replica) -> None:
    for seconds in (2.0, 3.0):
        replica.work(seconds)
        replica.clock.now += 10
        replica.usage_writer.write()

    assert replica.written() == {"cat": (5.0, 0.0), "dog": (0.0, 5.0)}
    assert replica.ready() == [(25.0, 25.0)]


def test_an_outage_delays_the_write_and_loses_nothing(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as outage:
        outage.setattr(replica.ledger, "add", unavailable)
        replica.work(2.0)
        replica.usage_writer.write()
    assert replica.written() == {}

    replica.work(1.0)
    replica.usage_writer.write()

    assert replica.written() == {"cat": (3.0, 0.0), "dog": (0.0, 3.0)}
    assert replica.ready() == [(3.0, 3.0)]
