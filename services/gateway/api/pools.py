"""/v1/pools: the desired and the actual size of each pool of replicas, its policy and its history."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from contract.base import Frozen, Whole
from contract.errors import BrokerUnavailable, Invalid
from contract.pools import ManualPool, Measured, Pool, PoolName, PoolRequest, Queue, ReplicaCounts, Replicas
from services.gateway.dependencies import MAY_ADMIN, MAY_READ, BackendsDep, Cursor, Limit, StoresDep
from services.gateway.edge.problems import documented
from services.storage.pools.demand import ONLINE
from services.storage.pools.history import PoolChangePage
from services.storage.pools.pools import PoolSetting

router = APIRouter(prefix="/v1/pools", tags=["pools"])

EXAMPLES: dict[str, Example] = {
    "manual": {"summary": "Three replicas, regardless of the load", "value": {"mode": "manual", "replicas": 3}},
    "auto": {
        "summary": "Follow the load, and scale to zero after a minute without any",
        "value": {"mode": "auto", "min": 0, "max": 8, "idle_s": 60, "backlog_per_replica": 4},
    },
}


class PoolList(Frozen):
    items: tuple[Pool, ...]
    next: None = None


class PoolDemand(Frozen):
    """`value` is the sum of waiting and running; a scaler that follows Tidepool's own policy reads `desired`."""

    value: Whole
    waiting: Whole
    running: Whole
    desired: Replicas


@router.get("", dependencies=MAY_READ, responses=documented())
def list_pools(backends: BackendsDep) -> PoolList:
    """Every pool. While the broker is down, the fields that come from it are null."""
    measured = backends.demand.measure()
    return PoolList(items=tuple(_pool(setting, measured[setting.name]) for setting in backends.stores.pools.list()))


@router.get("/{pool}", dependencies=MAY_READ, responses=documented(404))
def get_pool(pool: PoolName, backends: BackendsDep) -> Pool:
    """The desired and the actual number of replicas, and their queue."""
    return _pool(backends.stores.pools.get(pool), backends.demand.measure()[pool])


@router.patch("/{pool}", dependencies=MAY_ADMIN, responses=documented(404, 409, 413, 415))
def set_pool(
    pool: PoolName,
    request: Annotated[PoolRequest, Body(openapi_examples=EXAMPLES)],
    backends: BackendsDep,
    stores: StoresDep,
) -> Pool:
    """Fix the size of a pool, or let it follow its load; fields left out of a policy keep their values."""
    measured = backends.demand.measure()[pool]
    limit = backends.settings.max_replicas
    if isinstance(request, ManualPool):
        _require_allowed({"replicas": request.replicas}, limit)
        return _pool(stores.pools.set_manual(pool, request.replicas, measured), measured)
    if request.requests_per_minute is not None and pool != ONLINE:
        raise Invalid(f"requests_per_minute only applies to {ONLINE}; {pool} runs jobs")
    policy = backends.stores.pools.get(pool).policy.model_dump() | request.model_dump(exclude_unset=True)
    _require_allowed({"min": policy["min"], "max": policy["max"]}, limit)
    return _pool(stores.pools.set_auto(pool, request, measured), measured)


@router.get("/{pool}/history", dependencies=MAY_READ, responses=documented(404))
def get_history(pool: PoolName, backends: BackendsDep, limit: Limit = 50, cursor: Cursor = None) -> PoolChangePage:
    """The last thousand changes of the desired size, newest first, each with the load and the reason."""
    return backends.stores.pools.history(pool, limit, cursor)


@router.get("/{pool}/demand", dependencies=MAY_READ, responses=documented(404))
def get_demand(pool: PoolName, backends: BackendsDep) -> PoolDemand:
    """The demand for an external scaler, such as KEDA's metrics-api; 503 while it cannot be measured."""
    measured = backends.demand.measure()[pool]
    if measured.waiting is None or measured.running is None:
        raise BrokerUnavailable("the broker does not answer, so the queue length is unknown; try again soon")
    desired = backends.stores.pools.get(pool).desired
    value = measured.waiting + measured.running
    return PoolDemand(value=value, waiting=measured.waiting, running=measured.running, desired=desired)


def _pool(setting: PoolSetting, measured: Measured) -> Pool:
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


def _require_allowed(sizes: Mapping[str, int], limit: int) -> None:
    """Raise Invalid for more replicas than the gateway's settings allow."""
    for name, count in sizes.items():
        if count > limit:
            raise Invalid(f"{name} is {count}; this deployment allows at most {limit} replicas of a pool")
