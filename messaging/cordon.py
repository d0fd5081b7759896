"""Cordons workers: a cordoned worker finishes its current job and claims no more."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import redis
import structlog

from contract.pools import POOL_NAMES, PoolName
from messaging import redis_keys
from messaging.redis_address import redis_client
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


class Cordon(Protocol):
    """Implemented by `RedisCordon`, and by `MemoryCordon` for tests."""

    def publish(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        """Replace the cordoned workers of every pool. Expires after CORDON_TTL_S; an outage is logged, not raised."""


class RedisCordon:
    """Writes the sets that `messaging.presence.Presence` reads at every heartbeat."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: redis-py types sync and async clients alike
        self._client: Any = redis_client(url, TIMEOUT_S)

    def publish(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        try:
            with self._client.pipeline() as pipeline:
                for pool in POOL_NAMES:
                    pipeline.delete(redis_keys.cordoned(pool))
                    if names := workers.get(pool):
                        pipeline.sadd(redis_keys.cordoned(pool), *names)
                        pipeline.expire(redis_keys.cordoned(pool), redis_keys.CORDON_TTL_S)
                pipeline.execute()
        except redis.RedisError:
            log.info("cordon not published, the broker does not answer")
