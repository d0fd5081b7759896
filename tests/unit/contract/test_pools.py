"""Bounds and targets of pools, and requests that change them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.pools import AutoPool, ManualPool, PoolRequest, ScalingPolicy

REQUEST: TypeAdapter[ManualPool | AutoPool] = TypeAdapter(PoolRequest)
POLICY = ScalingPolicy(min=1, max=8, idle_s=30, utilization=0.7)


def auto(**fields: object) -> AutoPool:
    return AutoPool.model_validate({"mode": "auto", **fields})


def test_a_policy_has_its_bounds_in_order() -> None:
    with pytest.raises(ValidationError, match="min must not be larger"):
        ScalingPolicy(min=2, max=1)


def test_what_a_request_leaves_out_stays_as_it_is() -> None:
    assert auto().onto(POLICY) == POLICY
    assert auto(min=4).onto(POLICY) == POLICY.model_copy(update={"min": 4})
    assert auto(utilization=None, backlog_per_replica=2).onto(POLICY) == ScalingPolicy(
        min=1, max=8, idle_s=30, backlog_per_replica=2
    )


def test_a_request_may_not_turn_the_bounds_around() -> None:
    with pytest.raises(ValueError, match="min must not be larger"):
        auto(min=9).onto(POLICY)


@pytest.mark.parametrize(
    "fields",
    [{"min": -1}, {"min": None}, {"max": 10_001}, {"max": 1.5}, {"utilization": 0}, {"utilization": 1.1}, {"size": 1}],
)
def test_a_request_that_means_nothing(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        auto(**fields)


def test_the_mode_says_what_a_request_is() -> None:
    assert REQUEST.validate_python({"mode": "manual", "replicas": 0}) == ManualPool(mode="manual", replicas=0)
    assert REQUEST.validate_python({"mode": "auto", "max": 3}) == auto(max=3)
    for wrong in ({"replicas": 1}, {"mode": "manual"}, {"mode": "auto", "replicas": 1}, {"mode": "often"}):
        with pytest.raises(ValidationError):
            REQUEST.validate_python(wrong)


def test_no_default_is_documented_where_leaving_out_changes_nothing() -> None:
    assert not any("default" in field for field in AutoPool.model_json_schema()["properties"].values())
