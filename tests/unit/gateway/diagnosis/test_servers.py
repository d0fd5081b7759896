"""What the facts of the servers mean"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contract.artifacts import Bucket
from contract.health import Check, Level
from contract.reports import BrokerFacts
from services.gateway.diagnosis.servers import MIB, broker_checks, database_checks, store_checks
from services.storage.diagnosis import DatabaseFacts, StoreFacts

NOW = datetime(2026, 1, 31, tzinfo=UTC)
DATABASE = DatabaseFacts("PostgreSQL 17.2", "0019", "0019", NOW, 0.001)
BROKER = BrokerFacts("gateway", NOW.timestamp(), 0.0015, "7.4.1", 10 * MIB, 512 * MIB, "noeviction")
STORE = StoreFacts("MinIO", (), NOW, 0.002)


def by_name(checks: object) -> dict[str, Check]:
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


def levels(checks: object) -> dict[str, Level]:
    """The checks that are not ok."""
    return {name: check.level for name, check in by_name(checks).items() if check.level is not Level.OK}


def test_servers_that_work_have_their_version_and_latency() -> None:
    database = by_name(database_checks(DATABASE, NOW))
    redis = by_name(broker_checks(BROKER, NOW.timestamp()))
    store = by_name(store_checks(STORE, NOW))

    assert {check.level for checks in (database, redis, store) for check in checks.values()} == {Level.OK}
    assert database["answers"].message.startswith("PostgreSQL 17.2 answers")
    assert redis["answers"].message.startswith("Redis 7.4.1 answers")
    assert redis["answers"].latency_ms == pytest.approx(1.5)
    assert redis["memory"].message == "10 of 512 MiB used"
    assert store["answers"].message == "it answers, as MinIO"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"revision": "0018"}, {"schema": Level.PROBLEM}),
        ({"revision": "0020"}, {"schema": Level.WARNING}),
        ({"revision": None}, {"schema": Level.WARNING}),
        ({"latency_s": 0.5}, {"answers": Level.WARNING}),
        ({"clock": NOW - timedelta(seconds=90)}, {"clock": Level.WARNING}),
        ({"clock": None}, {}),
    ],
)
def test_the_database(change: dict[str, object], expected: dict[str, Level]) -> None:
    assert levels(database_checks(replace(DATABASE, **change), NOW)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"used_bytes": 400 * MIB}, {"memory": Level.WARNING}),
        ({"used_bytes": 500 * MIB}, {"memory": Level.PROBLEM}),
        ({"limit_bytes": 0}, {"memory": Level.WARNING}),
        ({"policy": "allkeys-lru"}, {"eviction": Level.PROBLEM}),
        ({"user": "default"}, {"rights": Level.WARNING}),
        ({"version": None, "used_bytes": None, "limit_bytes": None, "policy": None}, {"rights": Level.WARNING}),
        ({"clock": NOW.timestamp() + 60}, {"clock": Level.WARNING}),
    ],
)
def test_redis(change: dict[str, object], expected: dict[str, Level]) -> None:
    assert levels(broker_checks(replace(BROKER, **change), NOW.timestamp())) == expected  # type: ignore[arg-type]


def test_a_missing_bucket_is_a_problem() -> None:
    checks = by_name(store_checks(replace(STORE, missing=(Bucket.JOBS,), server=None, clock=None), NOW))

    assert checks["buckets"].level is Level.PROBLEM
    assert "no bucket for jobs" in checks["buckets"].message
    assert "init" in (checks["buckets"].advice or "")


def test_everything_that_is_not_ok_says_what_to_do() -> None:
    broken = replace(BROKER, used_bytes=500 * MIB, policy="allkeys-lru", user="default", clock=0.0, latency_s=1.0)
    checks = broker_checks(broken, NOW.timestamp())

    assert all(check.advice for check in checks if check.level is not Level.OK)
    assert len(levels(checks)) == 5
