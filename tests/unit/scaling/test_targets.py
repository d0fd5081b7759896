from typing import Any

import pytest

from contract.pools import MOST_REPLICAS, Measured, ScalingPolicy
from scaling.targets import missing, proposals


def most(policy: dict[str, Any], desired: int = 4, **measured: Any) -> int:
    load = Measured(**{"at": 0, "ready": desired, "waiting": 0, "running": 0} | measured)
    return max(proposal.replicas for proposal in proposals(load, ScalingPolicy(**policy), desired))


@pytest.mark.parametrize(
    ("waiting", "running", "backlog", "replicas"),
    [(0, 0, 4, 0), (1, 0, 4, 1), (4, 0, 4, 1), (5, 0, 4, 2), (6, 3, 4, 3), (3, 0, 0.1, 30), (0, 7, 4, 7)],
)
def test_the_backlog_is_divided_by_its_target(waiting: int, running: int, backlog: float, replicas: int) -> None:
    assert most({"backlog_per_replica": backlog}, waiting=waiting, running=running) == replicas


def test_without_a_target_every_job_gets_a_replica() -> None:
    assert most({}, waiting=5, running=2) == 7


@pytest.mark.parametrize(
    ("busy", "replicas"),
    [(0.0, 0), (0.01, 1), (0.35, 2), (0.62, 4), (0.7, 4), (0.76, 4), (0.78, 5), (1.0, 6)],
)
def test_utilization_has_a_tolerance_of_a_tenth(busy: float, replicas: int) -> None:
    assert most({"utilization": 0.7}, busy=busy) == replicas


def test_busy_replicas_do_not_propose_fewer_while_others_start() -> None:
    assert most({"utilization": 0.7}, desired=8, ready=2, busy=1.0) == 8


def test_no_utilization_is_expected_while_all_replicas_start() -> None:
    assert most({"utilization": 0.7}, desired=3, ready=0, waiting=1) == 3


@pytest.mark.parametrize(("rate", "replicas"), [(0, 0), (10, 1), (2600, 4), (2650, 5), (2800, 5), (3001, 6)])
def test_requests_per_minute_are_divided_by_their_target(rate: float, replicas: int) -> None:
    assert most({"requests_per_minute": 600}, requests_per_minute=rate) == replicas


def test_the_largest_proposal_wins() -> None:
    policy = {"backlog_per_replica": 10, "utilization": 0.5, "requests_per_minute": 60}
    assert most(policy, waiting=90, busy=1.0, requests_per_minute=60) == 9
    assert most(policy, waiting=10, busy=1.0, requests_per_minute=60) == 8
    assert most(policy, waiting=10, busy=0.1, requests_per_minute=720) == 12


def test_any_work_needs_a_replica() -> None:
    assert most({"utilization": 0.7}, desired=0, waiting=1) == 1
    assert most({"utilization": 0.7}, desired=0, requests_per_minute=3) == 1


def test_proposals_are_limited_to_the_most_replicas() -> None:
    assert most({"backlog_per_replica": 1e-300}, waiting=10**12) == MOST_REPLICAS


def test_missing_measurements_are_named() -> None:
    policy = ScalingPolicy(utilization=0.7, requests_per_minute=60)
    nothing = Measured(at=0, ready=1, waiting=None, running=None)
    assert len(missing(nothing, policy)) == 4
    assert len(missing(nothing, ScalingPolicy())) == 2


def test_a_pool_without_replicas_needs_no_utilization() -> None:
    assert missing(Measured(at=0, ready=0, waiting=0, running=0), ScalingPolicy(utilization=0.7)) == []


def test_an_unknown_number_of_replicas_is_not_zero() -> None:
    policy, load = ScalingPolicy(utilization=0.7), Measured(at=0, ready=None, waiting=3, running=0)
    assert missing(load, policy) == ["utilization"]
    assert [proposal.reason for proposal in proposals(load, policy, desired=2)] == ["there is work"]
