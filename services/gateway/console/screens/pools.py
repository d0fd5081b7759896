"""/pools: the replicas of each pool, the reason for their number, their bounds, and what scaling has saved."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.errors import Invalid
from contract.pools import (
    MOST_REPLICAS,
    POOL_NAMES,
    AutoPool,
    ManualPool,
    Measured,
    PoolChange,
    PoolMode,
    PoolName,
)
from contract.usage import UsageBy, UsageLine
from services.gateway.api.pools import set_pool
from services.gateway.console.charts import Spark, line, steps
from services.gateway.console.forecasts import forecast, traffic_of
from services.gateway.console.pages import form_of, page, plain_page, redirect
from services.gateway.console.viewer import MAY_ADMIN, MAY_SEE, Viewer, ViewerDep
from services.storage.pools.pools import PoolSetting

router = APIRouter(include_in_schema=False)

DRAWN = 200  # changes that a sparkline is made of
LISTED = 8  # changes below a pool
PAGE = 50
DAYS = 7
SLIDER = 16  # a slider ends there, or at the pool's own bound

_NUMBERS = {"replicas": int, "min": int, "max": int, "idle_s": float}


class PoolView(NamedTuple):
    """A pool, its load, its newest changes, and its replica-seconds of the last days."""

    setting: PoolSetting
    measured: Measured
    changes: tuple[PoolChange, ...]
    desired: Spark
    ready: Spark
    waiting: Spark
    usage: UsageLine | None
    ends: int

    @property
    def saved(self) -> float | None:
        """The share that scaling has saved beside a constant maximum, None if that is not known."""
        if self.usage is None or not self.usage.ready_s or not self.usage.at_max_s:
            return None
        return max(0.0, 1 - self.usage.ready_s / self.usage.at_max_s)


def live_pools(viewer: Viewer) -> list[dict[str, Any]]:
    """Return the numbers of the pools, for the live stream."""
    measured = viewer.backends.demand.measure()
    return [
        {"pool": setting.name, "desired": setting.desired, **_load(measured[setting.name])}
        for setting in viewer.backends.stores.pools.list()
    ]


@router.get("/pools", dependencies=MAY_SEE)
def show(
    request: Request,
    viewer: ViewerDep,
    pool: PoolName | None = None,
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """All pools, or the history of one."""
    pools = viewer.backends.stores.pools
    if pool is not None:
        history = pools.history(pool, PAGE, cursor or None)
        return page(request, viewer, "pool_history.html", screen="pools", pool=pool, history=history)
    today = viewer.stores.database.now().date()
    since = today - timedelta(days=DAYS - 1)
    usage = viewer.backends.stores.ledger.sums(viewer.caller.project, since, today, UsageBy.POOL, len(POOL_NAMES))
    lines, measured = {item.key: item for item in usage.items}, viewer.backends.demand.measure()
    views = [_view(viewer, setting, measured[setting.name], lines.get(setting.name)) for setting in pools.list()]
    return page(request, viewer, "pools.html", screen="pools", views=views, days=DAYS)


@router.get("/pools/{pool}/forecast", dependencies=MAY_ADMIN)
def show_forecast(
    viewer: ViewerDep,
    pool: PoolName,
    low: Annotated[int, Query(alias="min", ge=0, le=MOST_REPLICAS)],
    high: Annotated[int, Query(alias="max", ge=0, le=MOST_REPLICAS)],
) -> Response:
    """What the bounds of the sliders would have done in the last day, as a piece of the page."""
    setting = viewer.backends.stores.pools.get(pool)
    policy = setting.policy.model_copy(update={"min": low, "max": max(low, high)})
    request = traffic_of(viewer.backends.stores.traffic, pool, policy, viewer.stores.database.now())
    if request is None:
        return plain_page("pool_forecast.html", pool=pool, forecast=None)
    result = forecast(request)
    return plain_page(
        "pool_forecast.html",
        pool=pool,
        forecast=result,
        request=request,
        replicas=line(result.replicas, policy.max),
        arrivals=line(result.arrivals),
    )


@router.post("/pools/{pool}", dependencies=MAY_ADMIN)
async def change(request: Request, viewer: ViewerDep, pool: PoolName) -> Response:
    """Fix a pool's size, or set the bounds in which it follows its load."""
    form = await form_of(request)
    automatic = form.get("mode") == PoolMode.AUTO
    fields = ("min", "max", "idle_s") if automatic else ("replicas",)
    try:
        values = {name: _NUMBERS[name](form[name]) for name in fields if form.get(name)}
        wanted = AutoPool.model_validate({"mode": PoolMode.AUTO, **values}) if automatic else None
        fixed = None if automatic else ManualPool.model_validate({"mode": PoolMode.MANUAL, **values})
    except (ValidationError, ValueError) as error:
        raise Invalid("replicas and seconds must be whole numbers of 0 or more") from error
    changed = await run_in_threadpool(set_pool, pool, wanted or fixed, viewer.backends, viewer.stores)  # type: ignore[arg-type]
    bounds = f"follows its load, from {changed.policy.min} to {changed.policy.max}" if automatic else "has a fixed size"
    return redirect("/pools", f"The pool {pool} {bounds}.")


def _load(measured: Measured) -> dict[str, int | None]:
    return {name: getattr(measured, name) for name in ("ready", "waiting", "running", "draining")}


def _view(viewer: Viewer, setting: PoolSetting, measured: Measured, usage: UsageLine | None) -> PoolView:
    changes = viewer.backends.stores.pools.history(setting.name, DRAWN).items
    now = viewer.stores.database.now()

    def spark(field: str, current: int | None) -> Spark:
        points = [(one.at.timestamp(), field, getattr(one, field)) for one in reversed(changes)]
        known = [point for point in points if point[2] is not None]
        return steps(known, {field: known[-1][2] if current is None and known else current or 0}, now)

    return PoolView(
        setting,
        measured,
        changes[:LISTED],
        spark("desired", setting.desired),
        spark("ready", measured.ready),
        spark("waiting", measured.waiting),
        usage,
        _end(viewer, (setting.policy.max, setting.desired, setting.created or 0)),
    )


def _end(viewer: Viewer, sizes: Sequence[int]) -> int:
    """Return the largest number of a pool's sliders."""
    return min(viewer.backends.settings.max_replicas, max(SLIDER, *sizes))
