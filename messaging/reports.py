"""What replicas and gateways say of themselves every second, and the only place that reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
import redis
import structlog

from contract.pools import POOL_NAMES
from messaging import redis_keys
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


class ReplicaReport(msgspec.Struct, frozen=True):
    """`job` while it runs one, `busy` the share of the last seconds that it computed, `draining` once it is to go."""

    job: bool
    busy: float
    draining: bool


class GatewayReport(msgspec.Struct, frozen=True):
    """Requests that have no answer yet, and how many a minute got one of late."""

    waiting: int
    per_minute: float


Report = TypeVar("Report", ReplicaReport, GatewayReport)


@dataclass(frozen=True)
class Reported:
    """What was said about a pool by those who live, by their names."""

    replicas: Mapping[str, ReplicaReport] = field(default_factory=dict)
    gateways: Mapping[str, GatewayReport] = field(default_factory=dict)


class Reports(Protocol):
    """`RedisReports` is the real one, `MemoryReports` its twin."""

    def read(self) -> Mapping[str, Reported] | None:
        """By pool, what its replicas and its gateways said last; None while the broker is away."""


class RedisReports:
    """Reads what `messaging.redis_keys.BEAT` wrote, all of it in one round trip."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: the types of redis-py are those of every client it has
        self._client: Any = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    def read(self) -> Mapping[str, Reported] | None:
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for pool in POOL_NAMES:
                    for presence in (redis_keys.replicas(pool), redis_keys.gateways(pool)):
                        pipeline.eval(redis_keys.LOOK, 2, presence, redis_keys.reports(presence))
                said = iter(pipeline.execute())
        except redis.RedisError:
            log.info("nothing was heard of the pools, the broker does not answer")
            return None
        return {
            pool: Reported(_decoded(next(said), ReplicaReport), _decoded(next(said), GatewayReport))
            for pool in POOL_NAMES
        }


def _decoded(said: list[bytes], kind: type[Report]) -> dict[str, Report]:
    """Names and reports, of which Redis makes one flat list."""
    names, reports = said[::2], said[1::2]
    return {name.decode(): msgspec.json.decode(text, type=kind) for name, text in zip(names, reports, strict=True)}
