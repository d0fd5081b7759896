"""Reads the reports that replicas and gateways write to Redis every second."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import redis
import structlog

from contract.pools import POOL_NAMES
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging import redis_keys
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


Report = TypeVar("Report", ReplicaReport, GatewayReport)


class RedisReports:
    """Reads what `messaging.redis_keys.BEAT` wrote, all of it in one round trip."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: the types of redis-py are those of every client it has
        self._client: Any = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    def read(self) -> Mapping[str, PoolReports] | None:
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
            pool: PoolReports(_decoded(next(said), ReplicaReport), _decoded(next(said), GatewayReport))
            for pool in POOL_NAMES
        }


def _decoded(said: list[bytes], kind: type[Report]) -> dict[str, Report]:
    """Names and reports, of which Redis makes one flat list."""
    names, reports = said[::2], said[1::2]
    return {name.decode(): msgspec.json.decode(text, type=kind) for name, text in zip(names, reports, strict=True)}
