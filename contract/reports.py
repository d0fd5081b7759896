"""What replicas and gateways report about themselves every second; scaling and `/v1/pools` are decided from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class ReplicaReport(msgspec.Struct, frozen=True):
    """`job` while it runs one, `busy` the share of the last seconds that it computed, `draining` once it is to go."""

    job: bool
    busy: float
    draining: bool


class GatewayReport(msgspec.Struct, frozen=True):
    """Requests that have no answer yet, and how many a minute got one of late."""

    waiting: int
    per_minute: float


@dataclass(frozen=True)
class PoolReports:
    """What was said about a pool by those who live, by their names."""

    replicas: Mapping[str, ReplicaReport] = field(default_factory=dict)
    gateways: Mapping[str, GatewayReport] = field(default_factory=dict)


class Reports(Protocol):
    """`RedisReports` is the real one, `MemoryReports` its twin."""

    def read(self) -> Mapping[str, PoolReports] | None:
        """By pool, what its replicas and its gateways said last; None while the broker is away."""
