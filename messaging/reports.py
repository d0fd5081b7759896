"""Reads the reports that replicas and gateways write to Redis every second."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import redis
import structlog

from contract.pools import POOL_NAMES
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging import redis_keys
from messaging.dropped import decoded, text
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


Report = TypeVar("Report", ReplicaReport, GatewayReport)


class RedisReports:
    """Reads the reports of all pools in one round trip."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: redis-py types sync and async clients alike
        self._client: Any = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    def read(self) -> Mapping[str, PoolReports] | None:
        """Return the reports by pool, or None during an outage."""
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for pool in POOL_NAMES:
                    for presence in (redis_keys.replicas(pool), redis_keys.gateways(pool)):
                        pipeline.eval(redis_keys.READ_REPORTS, 2, presence, redis_keys.reports(presence))
                responses = iter(pipeline.execute())
        except redis.RedisError:
            log.info("no reports of the pools, the broker does not answer")
            return None
        return {
            pool: PoolReports(_decoded(next(responses), ReplicaReport), _decoded(next(responses), GatewayReport))
            for pool in POOL_NAMES
        }


def _decoded(pairs: list[bytes], kind: type[Report]) -> dict[str, Report]:
    """Decode the names and reports, which HGETALL returns as one flat list; damaged reports are left out."""
    decode = msgspec.json.Decoder(kind).decode
    reports = (
        (text(name), decoded("report", decode, encoded)) for name, encoded in zip(*[iter(pairs)] * 2, strict=True)
    )
    return {name: report for name, report in reports if report is not None}
