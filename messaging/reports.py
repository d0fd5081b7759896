"""Reads the reports that replicas and gateways write to Redis every second."""

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import redis
import structlog

from contract.errors import BrokerUnavailable
from contract.pools import POOL_NAMES
from contract.reports import PROCESSES, BrokerFacts, GatewayReport, PoolReports, ProcessReport, ReplicaReport
from messaging import redis_keys
from messaging.dropped import decoded, text
from messaging.redis_address import redis_client
from messaging.settings import BrokerSettings

log = structlog.get_logger()

TIMEOUT_S = 2.0


Report = TypeVar("Report", ReplicaReport, GatewayReport, ProcessReport)


class RedisReports:
    """Reads the reports of all pools in one round trip."""

    def __init__(self, settings: BrokerSettings) -> None:
        url = settings.url.get_secret_value()
        # untyped: redis-py types sync and async clients alike
        self._client: Any = redis_client(url, TIMEOUT_S)

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

    def read_processes(self) -> Mapping[str, Mapping[str, ProcessReport]] | None:
        """Return the reports by role and name, or None during an outage or without the right to read them."""
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for presence in map(redis_keys.processes, PROCESSES):
                    pipeline.eval(redis_keys.READ_REPORTS, 2, presence, redis_keys.reports(presence))
                responses = pipeline.execute()
        except redis.RedisError:
            return None
        return {role: _decoded(pairs, ProcessReport) for role, pairs in zip(PROCESSES, responses, strict=True)}

    def broker_facts(self) -> BrokerFacts:
        """Ask Redis for its version and memory; raises BrokerUnavailable."""
        user = self._client.connection_pool.connection_kwargs.get("username") or "default"
        try:
            info = self._info()  # also opens the connection, whose time does not count
            started = time.perf_counter()
            seconds, microseconds = self._client.time()
            latency_s = time.perf_counter() - started
        except redis.RedisError as error:
            raise BrokerUnavailable("the broker does not answer; try again soon") from error
        return BrokerFacts(
            user=user,
            clock=seconds + microseconds / 1e6,
            latency_s=latency_s,
            version=info.get("redis_version"),
            used_bytes=info.get("used_memory"),
            limit_bytes=info.get("maxmemory"),
            policy=info.get("maxmemory_policy"),
        )

    def _info(self) -> Mapping[str, Any]:
        try:
            return {**self._client.info("server"), **self._client.info("memory")}
        except redis.exceptions.NoPermissionError:
            return {}


def _decoded(pairs: list[bytes], kind: type[Report]) -> dict[str, Report]:
    """Decode the names and reports, which HGETALL returns as one flat list; damaged reports are left out."""
    decode = msgspec.json.Decoder(kind).decode
    reports = (
        (text(name), decoded("report", decode, encoded)) for name, encoded in zip(*[iter(pairs)] * 2, strict=True)
    )
    return {name: report for name, report in reports if report is not None}
