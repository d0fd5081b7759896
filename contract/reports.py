"""Reports that replicas and gateways publish every second; used for scaling and `/v1/pools`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import msgspec

PROCESSES = ("storage", "autoscaler")
"""The roles of processes that are in no pool and report their health."""


class ReplicaReport(msgspec.Struct, frozen=True):
    """`job`: a job is running; `busy`: share of the last seconds spent computing; `draining`: it is about to stop.

    `version` is None for replicas of older releases.
    """

    job: bool
    busy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    draining: bool
    version: str | None = None


class GatewayReport(msgspec.Struct, frozen=True):
    """Unanswered requests, and the recent rate of answered ones; `version` is None for gateways of older releases."""

    waiting: Annotated[int, msgspec.Meta(ge=0, le=10**7)]
    per_minute: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    version: str | None = None


class ProcessReport(msgspec.Struct, frozen=True):
    """Of the storage process or an autoscaler: `idle_s` is the time since its loop last finished a pass."""

    version: str
    idle_s: float


@dataclass(frozen=True)
class PoolReports:
    """The latest reports of a pool's live replicas and gateways, by name."""

    replicas: Mapping[str, ReplicaReport] = field(default_factory=dict)
    gateways: Mapping[str, GatewayReport] = field(default_factory=dict)


@dataclass(frozen=True)
class BrokerFacts:
    """What Redis says of itself; None if this service's user may not ask.

    `limit_bytes` is 0 without a limit; `policy` is what it does when its memory is full; `clock` is in Unix seconds.
    `latency_s` is the time of one command.
    """

    user: str
    clock: float
    latency_s: float = 0.0
    version: str | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    policy: str | None = None


class Reports(Protocol):
    """Implemented by `RedisReports`, and by `MemoryReports` for tests."""

    def read(self) -> Mapping[str, PoolReports] | None:
        """The latest reports by pool; None while the broker is unavailable."""

    def read_processes(self) -> Mapping[str, Mapping[str, ProcessReport]] | None:
        """The latest reports of PROCESSES, by role and name.

        None while the broker is unavailable, or if its user for this service is of an older release.
        """

    def broker_facts(self) -> BrokerFacts:
        """Ask the broker about itself; raises BrokerUnavailable."""
