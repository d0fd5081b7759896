"""The limits of a deployment, against numbers that follow by hand."""

from dataclasses import replace

import pytest

from scaling.simulation.cluster import BUSY, Cluster, Costs, Resource, resources

FREE = Costs(
    **dict.fromkeys(("create_cpu_ms", "claim_cpu_ms", "finish_cpu_ms", "renew_cpu_ms", "progress_cpu_ms"), 0.0),
    **dict.fromkeys(("wake_redis_ms", "beat_redis_ms", "report_redis_ms", "batch_redis_ms", "count_cpu_ms"), 0.0),
    claim_ms=1e-6,
    relay_ms=1e-6,
)
WIDE = Cluster(replicas=100, job_s=10.0, connections=10**9)


def first(cluster: Cluster, costs: Costs) -> Resource:
    return resources(cluster, costs)[0]


def test_claims_of_several_projects_come_one_after_the_other() -> None:
    # 7 ms a claim are 100 claims a second at 70 %, which are 1000 replicas with a job every ten seconds
    limit = first(WIDE, replace(FREE, claim_ms=7.0))
    assert (limit.name, limit.used) == ("claims, one after the other", 10.0)
    assert limit.most_replicas(WIDE) == pytest.approx(1000)
    assert limit.share == pytest.approx(0.1)

    alone = resources(replace(WIDE, projects=1), replace(FREE, claim_ms=7.0))
    assert "claims, one after the other" not in {limit.name for limit in alone}


def test_the_relay_sends_one_message_after_the_other() -> None:
    assert first(WIDE, replace(FREE, relay_ms=0.7)).most_replicas(WIDE) == pytest.approx(10_000)


def test_the_database_computes_for_jobs_renewals_progress_and_counts() -> None:
    # for each replica 0.1 jobs/s × 6 ms + 0.2 renewals/s × 1 ms + 0.2 reports/s × 2 ms = 1.2 ms/s, and 4 × 10 ms
    costs = replace(FREE, create_cpu_ms=1.0, claim_cpu_ms=2.0, finish_cpu_ms=3.0, renew_cpu_ms=1.0)
    costs = replace(costs, progress_cpu_ms=2.0, count_cpu_ms=10.0)
    cluster = replace(WIDE, database_cores=1)
    limit = first(cluster, costs)
    assert limit.used == pytest.approx(100 * 1.2 + 40)
    assert limit.most_replicas(cluster) == pytest.approx((BUSY * 1000 - 40) / 1.2)


def test_each_replica_holds_connections() -> None:
    cluster = replace(WIDE, connections=300, connections_each=2.0, gateways=2)
    assert first(cluster, FREE).most_replicas(cluster) == pytest.approx((300 - 16) / 2)


def test_redis_serves_batches_heartbeats_and_wake_up_messages() -> None:
    # each of 200 replicas sends a heartbeat of 0.1 ms, half of them answer ten batches of 0.5 ms
    cluster = replace(WIDE, online=100, batches_each=10.0)
    limit = first(cluster, replace(FREE, beat_redis_ms=0.1, batch_redis_ms=0.5, wake_redis_ms=1.0))
    assert limit.used == pytest.approx(200 * 0.1 + 1000 * 0.5 + 10 * 1.0)
    assert limit.most_replicas(cluster) == pytest.approx(200 * 700 / 530)


def test_what_does_not_grow_with_the_replicas_may_be_too_much_alone() -> None:
    assert Resource("r", "u", used=20.0, available=10.0, fixed=15.0).most_replicas(WIDE) == 0.0
    assert Resource("r", "u", used=5.0, available=10.0, fixed=5.0).most_replicas(WIDE) == float("inf")
