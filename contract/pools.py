"""Pools of workers: what people set, what is measured, and what is decided from both."""

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
    """Bounds and targets of a pool that follows its load; of several targets the largest answer wins."""

    min: Replicas = 1
    max: Replicas = 1
    idle_s: Seconds = Field(default=60.0, description="Seconds without work after which the pool may go to zero.")
    quiet_s: Seconds = Field(default=60.0, description="Seconds that a lower answer must hold before replicas go.")
    backlog_per_replica: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        default=None, description="Waiting and running jobs, or waiting requests, that one replica is meant to have."
    )
    utilization: Annotated[float, Field(strict=True, gt=0, le=1)] | None = Field(
        default=None, description="Share of the time that a replica is meant to be busy, of its GPU where it has one."
    )
    requests_per_minute: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        default=None, description="Requests that one replica is meant to answer in a minute."
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be larger than max")
        return self


class Measured(Frozen):
    """What was seen of a pool at one moment; None is what could not be measured."""

    at: Annotated[float, Field(ge=0, description="Seconds of the clock that decisions are made by.")]
    ready: Whole | None
    waiting: Whole | None
    running: Whole | None
    draining: Whole | None = Field(default=None, description="Replicas that were told to go and still work.")
    oldest_s: float = Field(default=0.0, ge=0, description="Age of the job that waits longest.")
    busy: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Share of the last seconds in which the ready replicas computed, on average."
    )
    requests_per_minute: Annotated[float, Field(ge=0)] | None = None


class Decision(Frozen):
    """How many replicas a pool should have, and why, in words for people."""

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
    """A request to have a pool follow its load; what it leaves out stays as it is, and a target that is null goes."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    mode: Literal[PoolMode.AUTO]

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        return self  # one of them may be left out; `onto` sees both

    def onto(self, policy: ScalingPolicy) -> ScalingPolicy:
        """The policy with what was given instead of its own; raises ValueError when min is then larger than max."""
        given = self.model_dump(exclude={"mode"}, exclude_unset=True)
        return ScalingPolicy.model_validate(policy.model_dump() | given)


def _mode(request: Any) -> Any:
    return request.get("mode") if isinstance(request, dict) else getattr(request, "mode", None)


PoolRequest = Annotated[
    Annotated[ManualPool, Tag("manual")] | Annotated[AutoPool, Tag("auto")],
    Discriminator(
        _mode, custom_error_type="unknown_mode", custom_error_message=f"mode must be one of {', '.join(PoolMode)}"
    ),
]


class ReplicaCounts(Frozen):
    """`ready` and `draining` are None while the replicas cannot be asked."""

    desired: Replicas
    created: Whole | None = Field(
        default=None,
        description="How many there are to start: containers that Compose has created, or room for processes.",
    )
    ready: Whole | None
    draining: Whole | None
    min: Replicas
    max: Replicas


class Queue(Frozen):
    """Jobs, their parts counted, and for inference the requests that have no answer yet; None where unknown."""

    waiting: Whole | None
    running: Whole | None
    oldest_s: float


class Pool(Frozen):
    """A pool as people see it."""

    name: PoolName
    mode: PoolMode
    replicas: ReplicaCounts
    queue: Queue
    policy: ScalingPolicy


class PoolChange(Frozen):
    """One line of a pool's history: a change of the desired count, and the load that it was made for."""

    at: datetime
    desired: Replicas
    ready: Whole | None
    waiting: Whole | None
    running: Whole | None
    reason: str
