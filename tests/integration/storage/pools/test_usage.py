"""The usage of replicas, summed up."""

import tracemalloc
from datetime import date, timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.pools import AutoPool, Measured
from contract.usage import Purpose, UsageBy, UsageLine, Use
from services.storage.database import Database
from services.storage.pools.pools import Pools
from services.storage.pools.usage import UsageLedger
from tests.examples import WHEN
from tests.integration.storage.steps import DAY_S, together
from tests.support.clock import FakeClock

TODAY = WHEN.date()
READY, CAT, JOB = Use(Purpose.READY), Use(Purpose.ONLINE, "cat"), Use(Purpose.JOB, "dog", "job-1")
LOAD = Measured(at=0.0, ready=1, waiting=0, running=0)


@pytest.fixture
def ledger(database: Database) -> UsageLedger:
    return UsageLedger(database)


def lines(ledger: UsageLedger, by: UsageBy, since: date = TODAY, until: date = TODAY) -> dict[str, UsageLine]:
    return {line.key: line for line in ledger.sums(DEFAULT_PROJECT, since, until, by, 10).items}


def test_seconds_add_up(ledger: UsageLedger) -> None:
    ledger.add("inference", False, {READY: 20.0, CAT: 1.5})
    ledger.add("inference", True, {READY: 20.0, CAT: 2.5})
    ledger.add("trainer", False, {READY: 20.0, JOB: 15.0})
    ledger.add("trainer", False, {READY: 20.0, JOB: 20.0})

    (day,) = ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.DAY, 10).items
    assert day == UsageLine(key=str(TODAY), ready_s=80.0, jobs_s=35.0, online_s=4.0, gpu_s=20.0, at_max_s=0.0)
    pools = lines(ledger, UsageBy.POOL)
    assert (pools["inference"].ready_s, pools["inference"].online_s, pools["trainer"].jobs_s) == (40.0, 4.0, 35.0)
    models = lines(ledger, UsageBy.MODEL)
    assert models["cat"] == UsageLine(key="cat", ready_s=None, jobs_s=0.0, online_s=4.0, gpu_s=2.5, at_max_s=None)
    assert models.keys() == {"cat", "dog"}
    assert lines(ledger, UsageBy.JOB).keys() == {"job-1"}


def test_the_costliest_models_and_jobs_come_first(ledger: UsageLedger) -> None:
    for number in range(4):
        ledger.add("trainer", False, {Use(Purpose.JOB, f"model-{number}", f"job-{number}"): float(number)})

    usage = ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.JOB, 2)

    assert [line.key for line in usage.items] == ["job-3", "job-2"]


def test_a_sum_does_not_load_the_other_jobs(ledger: UsageLedger) -> None:
    # given many more jobs than the limit
    ledger.add("trainer", False, {Use(Purpose.JOB, "dog", f"job-{number}"): 1.0 + number for number in range(1000)})
    ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.JOB, 1)  # so that one-time allocations do not count

    # when
    tracemalloc.start()
    (line,) = ledger.sums(DEFAULT_PROJECT, TODAY, TODAY, UsageBy.JOB, 1).items
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # then
    assert line.key == "job-999"
    assert peak_bytes < 200_000


def test_days_are_summed_separately_and_only_within_the_range(ledger: UsageLedger, clock: FakeClock) -> None:
    for seconds in (1.0, 2.0, 4.0):
        ledger.add("trainer", False, {READY: seconds})
        clock.tick(DAY_S)

    tomorrow = TODAY + timedelta(days=1)
    lines = ledger.sums(DEFAULT_PROJECT, tomorrow, tomorrow + timedelta(days=5), UsageBy.DAY, 1).items

    assert [(line.key, line.ready_s) for line in lines] == [
        (str(tomorrow), 2.0),
        (str(tomorrow + timedelta(days=1)), 4.0),
    ]


def test_the_cost_of_static_provisioning_is_computed(ledger: UsageLedger, database: Database, clock: FakeClock) -> None:
    # given pools that are a day and an hour old, one with up to four replicas and the others with one
    pools = Pools(database)
    pools.ensure()
    pools.set_auto("inference", AutoPool.model_validate({"mode": "auto", "min": 0, "max": 4}), LOAD)
    clock.tick(DAY_S + 3600)

    # when nothing was used on either day
    by_day = ledger.sums(
        DEFAULT_PROJECT, TODAY - timedelta(days=3), clock.now.date() + timedelta(days=3), UsageBy.DAY, 10
    )
    by_pool = lines(ledger, UsageBy.POOL, TODAY, clock.now.date())

    # then their owner would have paid for six replicas all the time
    assert len(by_day.items) == 2
    assert sum(line.at_max_s or 0.0 for line in by_day.items) == pytest.approx(6 * (DAY_S + 3600))
    assert [by_pool[name].at_max_s for name in ("inference", "trainer")] == [4 * (DAY_S + 3600), DAY_S + 3600]
    assert by_pool["inference"].ready_s == 0.0


def test_the_maximum_that_held_at_the_time_counts(ledger: UsageLedger, database: Database, clock: FakeClock) -> None:
    # given a pool that could have four replicas for an hour, then two, and then exactly three
    pools = Pools(database)
    pools.ensure()
    pools.set_auto("inference", AutoPool.model_validate({"mode": "auto", "min": 0, "max": 4}), LOAD)
    clock.tick(3600)
    pools.set_auto("inference", AutoPool.model_validate({"mode": "auto", "max": 2}), LOAD)
    clock.tick(7200)
    pools.set_manual("inference", 3, LOAD)
    clock.tick(60)

    line = lines(ledger, UsageBy.POOL, TODAY, clock.now.date())["inference"]

    assert line.at_max_s == 4 * 3600 + 2 * 7200 + 3 * 60


def test_concurrent_additions_are_all_counted(ledger: UsageLedger) -> None:
    ledger.add("trainer", False, {READY: 1.0})

    together(4, lambda _: ledger.add("trainer", False, {READY: 1.0}))

    assert lines(ledger, UsageBy.POOL)["trainer"].ready_s == 5.0


def test_the_largest_possible_dates_are_accepted(ledger: UsageLedger) -> None:
    assert ledger.sums(DEFAULT_PROJECT, date.max, date.max, UsageBy.DAY, 10).items == ()
    assert ledger.sums(DEFAULT_PROJECT, date.min, date.min, UsageBy.DAY, 10).items == ()
