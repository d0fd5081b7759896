"""The desired state of pools: set by hand, decided by autoscalers, recorded in the history."""

import pytest
from sqlalchemy import func, select

from contract.errors import Corrupt, Invalid, NotFound
from contract.jobs import JobKind
from contract.pools import POOL_NAMES, AutoPool, Decision, Measured, PoolMode, ScalingPolicy
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import BACKOFF_S, Leases
from services.storage.pools import history
from services.storage.pools.pools import POLICIES, Pools
from services.storage.tables import pool_changes
from tests.examples import PREDICT_REQUEST, PREPROCESS_REQUEST, TRAIN_REQUEST, VET_REQUEST
from tests.integration.storage.steps import claimed, divided, together
from tests.support.clock import FakeClock

LOAD = Measured(at=0.0, ready=1, waiting=7, running=1)
UNKNOWN = Measured(at=0.0, ready=None, waiting=None, running=1)


@pytest.fixture
def pools(database: Database) -> Pools:
    pools = Pools(database)
    pools.ensure()
    return pools


def auto(**fields: float | None) -> AutoPool:
    return AutoPool.model_validate({"mode": "auto", **fields})


def reasons(pools: Pools) -> list[tuple[int, str]]:
    return [(change.desired, change.reason) for change in pools.history("inference", 200).items]


def test_every_pool_starts_in_manual_mode_with_one_replica(pools: Pools) -> None:
    settings = pools.list()

    assert tuple(setting.name for setting in settings) == POOL_NAMES
    assert {(setting.mode, setting.desired) for setting in settings} == {(PoolMode.MANUAL, 1)}
    assert {setting.name: setting.policy for setting in settings} == POLICIES
    assert reasons(pools) == []


def test_making_the_pools_again_changes_nothing(pools: Pools) -> None:
    changed = pools.set_manual("inference", 3, LOAD)

    pools.ensure()

    assert pools.get("inference") == changed


def test_a_pool_is_not_found_before_the_deployment_is_initialised(database: Database) -> None:
    with pytest.raises(NotFound, match="inference"):
        Pools(database).get("inference")


def test_a_manual_size_becomes_the_desired_size(pools: Pools) -> None:
    setting = pools.set_manual("inference", 3, LOAD)

    assert (setting.mode, setting.desired, setting.most) == (PoolMode.MANUAL, 3, 3)
    assert pools.get("inference") == setting
    (change,) = pools.history("inference", 10).items
    assert (change.desired, change.ready, change.waiting, change.running) == (3, 1, 7, 1)
    assert change.reason == "set by hand to 3"


@pytest.mark.parametrize("created", [0, 3])
def test_replicas_created_by_people_become_the_desired_size(pools: Pools, created: int) -> None:
    setting = pools.record_created(pools.get("inference"), created, LOAD, by_people=True)

    assert (setting.mode, setting.desired, setting.created) == (PoolMode.MANUAL, created, created)
    assert pools.get("inference") == setting
    assert reasons(pools) == [(created, f"{created} replicas were created")]


def test_recording_the_desired_number_changes_nothing(pools: Pools) -> None:
    for _ in range(2):
        setting = pools.record_created(pools.get("inference"), 1, LOAD, by_people=True)
    assert (setting.desired, setting.created) == (1, 1)
    assert reasons(pools) == []


def test_a_size_set_before_the_first_observation_holds_until_replicas_are_created(pools: Pools) -> None:
    earlier = pools.set_manual("inference", 2, LOAD)

    seen = pools.record_created(earlier, 4, LOAD, by_people=True)
    later = pools.record_created(seen, 5, LOAD, by_people=True)

    assert (seen.desired, seen.created, seen.revision) == (2, 4, earlier.revision)
    assert (later.desired, later.created) == (5, 5)


def test_an_auto_pool_records_created_replicas_and_keeps_its_size(pools: Pools) -> None:
    following = pools.set_auto("inference", auto(min=1, max=4), LOAD)

    for created in (3, 2):
        setting = pools.record_created(following, created, LOAD, by_people=True)

    assert (setting.mode, setting.desired, setting.created) == (PoolMode.AUTO, following.desired, 2)
    assert setting.revision == following.revision


def test_repeating_a_setting_changes_nothing(pools: Pools) -> None:
    for _ in range(2):
        pools.set_manual("inference", 3, LOAD)
        pools.set_manual("trainer", 1, LOAD)
    assert len(reasons(pools)) == 1
    assert pools.history("trainer", 10).items == ()

    settings = [pools.set_auto("inference", auto(min=0, max=3), LOAD) for _ in range(2)]

    assert settings[0] == settings[1]
    assert len(reasons(pools)) == 2


def test_omitted_policy_fields_are_kept_and_null_removes_a_target(pools: Pools) -> None:
    pools.set_auto("inference", auto(min=0, max=8, idle_s=5, utilization=0.5), LOAD)

    setting = pools.set_auto("inference", auto(min=2, backlog_per_replica=None), LOAD)

    assert setting.policy == ScalingPolicy(min=2, max=8, idle_s=5, utilization=0.5)
    assert (setting.mode, setting.most) == (PoolMode.AUTO, 8)


def test_bounds_in_the_wrong_order_change_nothing(pools: Pools) -> None:
    before = pools.set_auto("inference", auto(min=2, max=4), LOAD)

    with pytest.raises(Invalid, match="min is 2 and max is 1"):
        pools.set_auto("inference", auto(max=1), LOAD)

    assert pools.get("inference") == before


@pytest.mark.parametrize(("had", "bounds", "desired"), [(5, (0, 3), 3), (0, (2, 3), 2), (2, (1, 3), 2)])
def test_new_bounds_apply_at_once(pools: Pools, had: int, bounds: tuple[int, int], desired: int) -> None:
    pools.set_manual("inference", had, LOAD)

    setting = pools.set_auto("inference", auto(min=bounds[0], max=bounds[1]), LOAD)

    assert setting.desired == desired
    assert reasons(pools)[0] == (desired, "set to follow its load between {} and {}".format(*bounds))


def test_a_decision_is_applied_and_recorded(pools: Pools) -> None:
    seen = pools.set_auto("inference", auto(min=0, max=4), LOAD)

    after = pools.decide(seen, Decision(replicas=3, reason="7 wait"), LOAD)

    assert after.desired == pools.get("inference").desired == 3
    assert reasons(pools)[0] == (3, "7 wait")
    # and the same decision again is no change
    assert pools.decide(after, Decision(replicas=3, reason="7 wait still"), LOAD) == after
    assert len(reasons(pools)) == 2


def test_a_decision_stays_within_the_bounds(pools: Pools) -> None:
    seen = pools.set_auto("inference", auto(min=1, max=4), LOAD)

    most = pools.decide(seen, Decision(replicas=9, reason="much"), LOAD)
    least = pools.decide(most, Decision(replicas=0, reason="nothing"), LOAD)

    assert (most.desired, least.desired) == (4, 1)


def test_a_manual_pool_ignores_decisions(pools: Pools) -> None:
    seen = pools.set_manual("inference", 2, LOAD)

    assert pools.decide(seen, Decision(replicas=4, reason="much"), LOAD) == seen


def test_a_decision_about_an_outdated_setting_is_dropped(pools: Pools) -> None:
    seen = pools.set_auto("inference", auto(min=0, max=4), LOAD)
    changed = pools.set_auto("inference", auto(max=8), LOAD)

    assert pools.decide(seen, Decision(replicas=4, reason="much"), LOAD) == changed


def test_one_of_several_concurrent_decisions_is_applied(pools: Pools) -> None:
    seen = pools.set_auto("inference", auto(min=0, max=8), LOAD)

    after = together(4, lambda number: pools.decide(seen, Decision(replicas=number + 4, reason=str(number)), LOAD))

    assert len(set(after)) == 1
    assert after[0] == pools.get("inference")
    assert len(reasons(pools)) == 2


def test_a_change_can_be_recorded_without_measurements(pools: Pools) -> None:
    pools.set_manual("inference", 3, UNKNOWN)

    (change,) = pools.history("inference", 10).items
    assert (change.ready, change.waiting, change.running) == (None, None, 1)


def test_the_history_is_read_in_pages(pools: Pools) -> None:
    for count in range(2, 7):
        pools.set_manual("inference", count, LOAD)
    pools.set_manual("trainer", 2, LOAD)

    first = pools.history("inference", 3)
    second = pools.history("inference", 3, first.next)

    assert [change.desired for change in (*first.items, *second.items)] == [6, 5, 4, 3, 2]
    assert second.next is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 40])
def test_a_malformed_cursor_is_rejected(pools: Pools, cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        pools.history("inference", 10, cursor)


def test_old_changes_are_deleted(pools: Pools, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    for count in range(2, 7):
        pools.set_manual("inference", count, LOAD)
    pools.set_manual("trainer", 2, LOAD)

    for _ in range(2):
        pools.prune()

    assert [desired for desired, _ in reasons(pools)] == [6, 5, 4]
    assert len(pools.history("trainer", 10).items) == 1
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(pool_changes)).scalar_one() == 4


def test_the_queues_count_waiting_and_running_jobs(pools: Pools, jobs: Jobs, leases: Leases, clock: FakeClock) -> None:
    # given two trainings, of which one runs, a batch prediction and a vetting, created within ten seconds
    for request in (TRAIN_REQUEST, TRAIN_REQUEST, PREDICT_REQUEST):
        jobs.create(request)
        clock.tick(5)
    jobs.create(VET_REQUEST)
    claimed(leases, JobKind.TRAIN)

    queues = pools.queues()

    counts = {name: (queue.waiting, queue.running, queue.oldest_s) for name, queue in queues.items()}
    assert counts == {"preprocess": (0, 0, 0.0), "trainer": (1, 1, 10.0), "inference": (2, 0, 5.0)}


def test_parts_count_and_the_job_that_waits_for_them_does_not(pools: Pools, database: Database) -> None:
    divided(database, 3)
    claimed(Leases(database))

    queue = pools.queues()["preprocess"]

    assert (queue.waiting, queue.running) == (2, 1)


def test_jobs_that_no_replica_can_claim_do_not_count(
    pools: Pools, jobs: Jobs, leases: Leases, clock: FakeClock
) -> None:
    # given a job that was cancelled, and one that waits for its next attempt
    jobs.cancel(jobs.create(PREPROCESS_REQUEST).id)
    jobs.create(PREPROCESS_REQUEST)
    leases.fail(claimed(leases).lease, Corrupt("a bit flipped"))

    assert pools.queues()["preprocess"].waiting == 0

    clock.tick(BACKOFF_S)
    assert pools.queues()["preprocess"].waiting == 1
