"""Bounds and targets of pools, and requests that change them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.pools import AutoPool, ManualPool, PoolRequest, ScalingPolicy

REQUEST: TypeAdapter[ManualPool | AutoPool] = TypeAdapter(PoolRequest)
POLICY = ScalingPolicy(min=1, max=8, idle_s=30, utilization=0.7)


def auto(**fields: object) -> AutoPool:
    return AutoPool.model_validate({"mode": "auto", **fields})


def test_a_policy_with_min_over_max_is_rejected() -> None:
    with pytest.raises(ValidationError, match="min must not be larger"):
        ScalingPolicy(min=2, max=1)


def test_omitted_fields_of_a_request_keep_their_values() -> None:
    assert auto().onto(POLICY) == POLICY
    assert auto(min=4).onto(POLICY) == POLICY.model_copy(update={"min": 4})
    assert auto(utilization=None, backlog_per_replica=2).onto(POLICY) == ScalingPolicy(
        min=1, max=8, idle_s=30, backlog_per_replica=2
    )


def test_a_request_that_puts_min_over_max_is_rejected() -> None:
    with pytest.raises(ValueError, match="min must not be larger"):
        auto(min=9).onto(POLICY)


@pytest.mark.parametrize(
    "fields",
    [{"min": -1}, {"min": None}, {"max": 10_001}, {"max": 1.5}, {"utilization": 0}, {"utilization": 1.1}, {"size": 1}],
)
def test_an_invalid_request_is_rejected(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        auto(**fields)


def test_a_request_is_parsed_by_its_mode() -> None:
    assert REQUEST.validate_python({"mode": "manual", "replicas": 0}) == ManualPool(mode="manual", replicas=0)
    assert REQUEST.validate_python({"mode": "auto", "max": 3}) == auto(max=3)
    for wrong in ({"replicas": 1}, {"mode": "manual"}, {"mode": "auto", "replicas": 1}, {"mode": "often"}):
        with pytest.raises(ValidationError):
            REQUEST.validate_python(wrong)


def test_the_schema_of_a_request_has_no_defaults() -> None:
    assert not any("default" in field for field in AutoPool.model_json_schema()["properties"].values())
