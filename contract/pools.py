"""Pools of workers: settings, measurements, and the scaling decisions made from both."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from contract.base import Frozen, Whole

MOST_REPLICAS = 10_000

PoolName = Literal["preprocess", "trainer", "inference"]
POOL_NAMES: tuple[PoolName, ...] = ("preprocess", "trainer", "inference")
Replicas = Annotated[int, Field(strict=True, ge=0, le=MOST_REPLICAS)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=30 * 86400)]


class PoolMode(StrEnum):
    MANUAL = "manual"
    AUTO = "auto"


class ScalingPolicy(Frozen):
    """Bounds and targets of a pool that scales with its load; of several targets the largest result wins."""

    min: Replicas = 1
    max: Replicas = 1
    idle_s: Seconds = Field(default=60.0, description="Seconds without work after which the pool may go to zero.")
    quiet_s: Seconds = Field(
        default=60.0, description="Seconds that a lower result must persist before replicas are removed."
    )
    backlog_per_replica: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        default=None, description="Target for waiting and running jobs, or waiting requests, per replica."
    )
    utilization: Annotated[float, Field(strict=True, gt=0, le=1)] | None = Field(
        default=None, description="Target share of the time that a replica is busy, or its GPU if it has one."
    )
    requests_per_minute: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        default=None, description="Target for requests per minute and replica."
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be larger than max")
        return self


class Measured(Frozen):
    """Measurements of a pool at one moment; None if a value could not be measured."""

    at: Annotated[float, Field(ge=0, description="Seconds of the clock that decisions are made by.")]
    ready: Whole | None
    waiting: Whole | None
    running: Whole | None
    draining: Whole | None = Field(default=None, description="Replicas that finish their work before they stop.")
    oldest_s: float = Field(default=0.0, ge=0, description="Age of the job that waits longest.")
    busy: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Share of the last seconds in which the ready replicas computed, on average."
    )
    requests_per_minute: Annotated[float, Field(ge=0)] | None = None


class Decision(Frozen):
    """How many replicas a pool should have, and the reason as text."""

    replicas: Replicas
    reason: str


class ManualPool(Frozen):
    """A request to keep a pool at one size."""

    mode: Literal[PoolMode.MANUAL]
    replicas: Replicas


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class AutoPool(ScalingPolicy):
    """A request to scale a pool with its load; omitted fields keep their values, and null removes a target."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    mode: Literal[PoolMode.AUTO]

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        return self  # one of them may be omitted; `onto` checks both

    def onto(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Apply the fields that were sent to a policy; raises ValueError if min is then larger than max."""
        changes = self.model_dump(exclude={"mode"}, exclude_unset=True)
        return ScalingPolicy.model_validate(policy.model_dump() | changes)


def _mode(request: Any) -> Any:
    return request.get("mode") if isinstance(request, dict) else getattr(request, "mode", None)


PoolRequest = Annotated[
    Annotated[ManualPool, Tag("manual")] | Annotated[AutoPool, Tag("auto")],
    Discriminator(
        _mode, custom_error_type="unknown_mode", custom_error_message=f"mode must be one of {', '.join(PoolMode)}"
    ),
]


class ReplicaCounts(Frozen):
    """`ready` and `draining` are None while no report can be read."""

    desired: Replicas
    created: Whole | None = Field(
        default=None,
        description="How many can be started: containers that Compose has created, or slots for processes.",
    )
    ready: Whole | None
    draining: Whole | None
    min: Replicas
    max: Replicas


class Queue(Frozen):
    """Jobs, including parts, and for inference also unanswered requests; None if unknown."""

    waiting: Whole | None
    running: Whole | None
    oldest_s: float


class Pool(Frozen):
    """A pool as the REST API shows it."""

    name: PoolName
    mode: PoolMode
    replicas: ReplicaCounts
    queue: Queue
    policy: ScalingPolicy


class PoolChange(Frozen):
    """An entry of a pool's history: a change of the desired count, and the load at that time."""

    at: datetime
    desired: Replicas
    ready: Whole | None
    waiting: Whole | None
    running: Whole | None
    reason: str
