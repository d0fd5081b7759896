"""The only place that tells workers that they are too many: they finish what they have, and claim nothing more."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import redis
import structlog

from contract.pools import POOL_NAMES, PoolName
from messaging import redis_keys
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


class Cordon(Protocol):
    """`RedisCordon` is the real one, `MemoryCordon` its twin."""

    def say(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        """By pool, who is too many now; it is forgotten soon, and does not arrive while the broker is away."""


class RedisCordon:
    """Writes what `messaging.presence.Presence` reads at every beat."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: the types of redis-py are those of every client it has
        self._client: Any = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    def say(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        try:
            with self._client.pipeline() as pipeline:
                for pool in POOL_NAMES:
                    pipeline.delete(redis_keys.cordoned(pool))
                    if names := workers.get(pool):
                        pipeline.sadd(redis_keys.cordoned(pool), *names)
                        pipeline.expire(redis_keys.cordoned(pool), redis_keys.CORDON_S)
                pipeline.execute()
        except redis.RedisError:
            log.info("nobody was told to rest, the broker does not answer")
