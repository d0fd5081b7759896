"""/v1/pools: what the pools of replicas are meant to be, what they are, and why."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body

from contract.base import Frozen, Whole
from contract.errors import BrokerUnavailable, Invalid
from contract.pools import ManualPool, Measured, Pool, PoolName, PoolRequest, Queue, ReplicaCounts, Replicas
from services.gateway.api.examples import POOL_REQUESTS
from services.gateway.dependencies import MAY_ADMIN, MAY_READ, Behind, Cursor, Limit
from services.gateway.edge.problems import documented
from services.storage.pools.demand import ONLINE
from services.storage.pools.history import PoolChangePage
from services.storage.pools.pools import Setting

router = APIRouter(prefix="/v1/pools", tags=["pools"])


class PoolList(Frozen):
    items: tuple[Pool, ...]
    next: None = None


class PoolDemand(Frozen):
    """`value` is what waits and what runs; a scaler that is to do as Tidepool says reads `desired`."""

    value: Whole
    waiting: Whole
    running: Whole
    desired: Replicas


@router.get("", dependencies=MAY_READ, responses=documented())
def list_pools(behind: Behind) -> PoolList:
    """Every pool. While the broker is away, what only it knows is null."""
    measured = behind.demand.measure()
    return PoolList(items=tuple(_seen(setting, measured[setting.name]) for setting in behind.stores.pools.list()))


@router.get("/{pool}", dependencies=MAY_READ, responses=documented(404))
def get_pool(pool: PoolName, behind: Behind) -> Pool:
    """How many replicas there should be, how many there are, and what waits for them."""
    return _seen(behind.stores.pools.get(pool), behind.demand.measure()[pool])


@router.patch("/{pool}", dependencies=MAY_ADMIN, responses=documented(404, 409, 413, 415))
def set_pool(
    pool: PoolName, request: Annotated[PoolRequest, Body(openapi_examples=POOL_REQUESTS)], behind: Behind
) -> Pool:
    """Keep a pool at one size, or let it follow its load; what is left out of a policy stays as it is."""
    measured = behind.demand.measure()[pool]
    most = behind.settings.max_replicas
    if isinstance(request, ManualPool):
        _require_allowed({"replicas": request.replicas}, most)
        return _seen(behind.stores.pools.set_manual(pool, request.replicas, measured), measured)
    if request.requests_per_minute is not None and pool != ONLINE:
        raise Invalid(f"requests_per_minute is measured of {ONLINE} only; {pool} has jobs")
    policy = behind.stores.pools.get(pool).policy.model_dump() | request.model_dump(exclude_unset=True)
    _require_allowed({"min": policy["min"], "max": policy["max"]}, most)
    return _seen(behind.stores.pools.set_auto(pool, request, measured), measured)


@router.get("/{pool}/history", dependencies=MAY_READ, responses=documented(404))
def get_history(pool: PoolName, behind: Behind, limit: Limit = 50, cursor: Cursor = None) -> PoolChangePage:
    """The last thousand changes of what a pool is meant to be, newest first, each with its load and its reason."""
    return behind.stores.pools.history(pool, limit, cursor)


@router.get("/{pool}/demand", dependencies=MAY_READ, responses=documented(404))
def get_demand(pool: PoolName, behind: Behind) -> PoolDemand:
    """One number for a scaler outside, as KEDA's metrics-api; 503 while it cannot be measured."""
    measured = behind.demand.measure()[pool]
    if measured.waiting is None or measured.running is None:
        raise BrokerUnavailable("the broker does not answer, so what waits is not known; try again soon")
    desired = behind.stores.pools.get(pool).desired
    value = measured.waiting + measured.running
    return PoolDemand(value=value, waiting=measured.waiting, running=measured.running, desired=desired)


def _seen(setting: Setting, measured: Measured) -> Pool:
    return Pool(
        name=setting.name,
        mode=setting.mode,
        replicas=ReplicaCounts(
            desired=setting.desired,
            created=setting.created,
            ready=measured.ready,
            draining=measured.draining,
            min=setting.policy.min,
            max=setting.policy.max,
        ),
        queue=Queue(waiting=measured.waiting, running=measured.running, oldest_s=measured.oldest_s),
        policy=setting.policy,
    )


def _require_allowed(wanted: Mapping[str, int], most: int) -> None:
    """Raises Invalid for more replicas than the gateway's settings allow."""
    for name, count in wanted.items():
        if count > most:
            raise Invalid(f"{name} is {count}; this deployment allows at most {most} replicas of a pool")
