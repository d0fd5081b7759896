"""Reports that replicas and gateways publish every second; used for scaling and `/v1/pools`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import msgspec


class ReplicaReport(msgspec.Struct, frozen=True):
    """`job`: a job is running; `busy`: share of the last seconds spent computing; `draining`: it is about to stop."""

    job: bool
    busy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    draining: bool


class GatewayReport(msgspec.Struct, frozen=True):
    """Unanswered requests, and the recent rate of answered ones."""

    waiting: Annotated[int, msgspec.Meta(ge=0, le=10**7)]
    per_minute: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


@dataclass(frozen=True)
class PoolReports:
    """The latest reports of a pool's live replicas and gateways, by name."""

    replicas: Mapping[str, ReplicaReport] = field(default_factory=dict)
    gateways: Mapping[str, GatewayReport] = field(default_factory=dict)


class Reports(Protocol):
    """Implemented by `RedisReports`, and by `MemoryReports` for tests."""

    def read(self) -> Mapping[str, PoolReports] | None:
        """The latest reports by pool; None while the broker is unavailable."""
