"""The memory of Redis, read by the process that may ask for it."""

import redis
import structlog
from prometheus_client import Gauge

from messaging.redis_address import redis_client
from messaging.settings import BrokerSettings

log = structlog.get_logger()

USED = Gauge("tidepool_redis_used_bytes", "Memory that Redis uses, as it counts it against its limit.")
LIMIT = Gauge("tidepool_redis_limit_bytes", "Redis's `maxmemory`; beyond it, writes are refused. 0 is no limit.")
CLIENTS = Gauge("tidepool_redis_connections", "Connections of clients to Redis.")
UP = Gauge("tidepool_redis_up", "Whether Redis answers.")


class RedisMemory:
    """Reads the memory of Redis into metrics."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._client = redis_client(settings.url.get_secret_value(), timeout_s=3)

    def read(self) -> None:
        """Set the metrics; an outage is one of them."""
        try:
            info = self._client.info()  # several sections at once need Redis 7
        except redis.ResponseError:  # it answers, but this user may not ask
            log.debug("the memory of Redis is not shown to this user")
            UP.set(1)
            return
        except redis.RedisError:
            log.warning("Redis does not answer")
            UP.set(0)
            return
        UP.set(1)
        USED.set(info["used_memory"])
        LIMIT.set(info["maxmemory"])
        CLIENTS.set(info["connected_clients"])
