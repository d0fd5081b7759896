"""Pools of replicas, and what they used."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from contract import usage
from contract.pools import Pool, PoolChange
from contract.usage import UsageBy
from tidepool_client._async.transport import AsyncTransport
from tidepool_client.references import path
from tidepool_client.responses import PoolDemand, given, parsed


class AsyncPools:
    """`client.pools`: `preprocess`, `trainer`, `inference`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def list(self) -> AsyncIterator[Pool]:
        """Yield each pool: its desired and actual replicas and its queue.

        >>> [(pool.name, pool.replicas.desired) async for pool in client.pools.list()]
        [('preprocess', 1), ('trainer', 1), ('inference', 1)]
        """
        async for pool in self._http.items(Pool, path("pools")):
            yield pool

    async def get(self, pool: str) -> Pool:
        """Return a pool."""
        return parsed(Pool, await self._http.call("GET", path("pools", pool)))

    async def scale(self, pool: str, replicas: int) -> Pool:
        """Keep a pool at this many replicas."""
        return await self._set(pool, {"mode": "manual", "replicas": replicas})

    async def autoscale(self, pool: str, **policy: float | None) -> Pool:
        """Let a pool follow its load; fields of ScalingPolicy that are left out keep their values."""
        return await self._set(pool, {"mode": "auto", **policy})

    async def history(self, pool: str, *, limit: int | None = None) -> AsyncIterator[PoolChange]:
        """Yield the pool's scaling decisions and their reasons, newest first."""
        async for change in self._http.pages(PoolChange, path("pools", pool, "history"), limit):
            yield change

    async def demand(self, pool: str) -> PoolDemand:
        """Return the demand for an external scaler."""
        return parsed(PoolDemand, await self._http.call("GET", path("pools", pool, "demand")))

    async def _set(self, pool: str, body: dict[str, Any]) -> Pool:
        return parsed(Pool, await self._http.call("PATCH", path("pools", pool), json=body))


class AsyncUsage:
    """`client.usage`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def get(
        self,
        *,
        since: date | str | None = None,
        until: date | str | None = None,
        by: UsageBy | str = UsageBy.DAY,
        limit: int | None = None,
    ) -> usage.Usage:
        """Return replica-seconds by `day`, `pool`, `model` or `job`; the last 30 days unless days are named.

        >>> usage = await client.usage.get(since="2026-01-01", until="2026-01-31", by="model")
        >>> usage.items
        ()
        """
        params = given(since=since, until=until, by=by, limit=limit)
        return parsed(usage.Usage, await self._http.call("GET", path("usage"), params=params))

    async def storage(self, *, everything: bool = False) -> usage.StorageUsage:
        """Return the objects and bytes that are stored, by category; with `everything`, those of all projects.

        >>> storage = await client.usage.storage()
        >>> storage.bytes
        0
        """
        params = {"all": everything} if everything else {}
        return parsed(usage.StorageUsage, await self._http.call("GET", path("usage", "storage"), params=params))
