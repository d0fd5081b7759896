"""Pools of replicas, and what they used."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from contract import usage
from contract.pools import Pool, PoolChange
from contract.usage import UsageBy
from tidepool_client._sync.transport import Transport
from tidepool_client.references import path
from tidepool_client.responses import PoolDemand, given, parsed


class Pools:
    """`client.pools`: `preprocess`, `trainer`, `inference`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(self) -> Iterator[Pool]:
        """Yield each pool: its desired and actual replicas and its queue.

        >>> [(pool.name, pool.replicas.desired) for pool in client.pools.list()]
        [('preprocess', 1), ('trainer', 1), ('inference', 1)]
        """
        for pool in self._http.items(Pool, path("pools")):
            yield pool

    def get(self, pool: str) -> Pool:
        """Return a pool."""
        return parsed(Pool, self._http.call("GET", path("pools", pool)))

    def scale(self, pool: str, replicas: int) -> Pool:
        """Keep a pool at this many replicas."""
        return self._set(pool, {"mode": "manual", "replicas": replicas})

    def autoscale(self, pool: str, **policy: float | None) -> Pool:
        """Let a pool follow its load; fields of ScalingPolicy that are left out keep their values."""
        return self._set(pool, {"mode": "auto", **policy})

    def history(self, pool: str, *, limit: int | None = None) -> Iterator[PoolChange]:
        """Yield the pool's scaling decisions and their reasons, newest first."""
        for change in self._http.pages(PoolChange, path("pools", pool, "history"), limit):
            yield change

    def demand(self, pool: str) -> PoolDemand:
        """Return the demand for an external scaler."""
        return parsed(PoolDemand, self._http.call("GET", path("pools", pool, "demand")))

    def _set(self, pool: str, body: dict[str, Any]) -> Pool:
        return parsed(Pool, self._http.call("PATCH", path("pools", pool), json=body))


class Usage:
    """`client.usage`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def get(
        self,
        *,
        since: date | str | None = None,
        until: date | str | None = None,
        by: UsageBy | str = UsageBy.DAY,
        limit: int | None = None,
    ) -> usage.Usage:
        """Return replica-seconds by `day`, `pool`, `model` or `job`; the last 30 days unless days are named.

        >>> usage = client.usage.get(since="2026-01-01", until="2026-01-31", by="model")
        >>> usage.items
        ()
        """
        params = given(since=since, until=until, by=by, limit=limit)
        return parsed(usage.Usage, self._http.call("GET", path("usage"), params=params))

    def storage(self, *, everything: bool = False) -> usage.StorageUsage:
        """Return the objects and bytes that are stored, by category; with `everything`, those of all projects.

        >>> storage = client.usage.storage()
        >>> storage.bytes
        0
        """
        params = {"all": everything} if everything else {}
        return parsed(usage.StorageUsage, self._http.call("GET", path("usage", "storage"), params=params))
