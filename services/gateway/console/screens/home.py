"""/: what runs now, what needs a person, what it cost and saved; on an empty project, the next steps."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from anyio import from_thread
from fastapi import APIRouter, Request, Response

from contract.access import Scope
from contract.pipelines import Pipeline
from contract.pools import PoolMode
from contract.usage import UsageBy, UsageLine
from services.gateway.console.charts import Spark, columns, steps
from services.gateway.console.pages import page, redirect
from services.gateway.console.screens.pipelines import TONES
from services.gateway.console.viewer import Viewer, ViewerDep
from services.storage.screens.home import HomeReader
from services.storage.screens.jobs import JobQuery, JobScreens

router = APIRouter(include_in_schema=False)

RUNNING, FAILED, MODELS = 5, 100, 6
FAILED_SHOWN = 3  # of at most FAILED that are counted
PIPELINES = 50  # of which the newest runs show
FAILED_FOR = timedelta(days=7)
DAYS = 7


class Saved(NamedTuple):
    """Replica-seconds of the last days, beside a constant maximum of replicas where that is known."""

    used_s: float
    at_max_s: float | None
    follows: bool  # whether a pool follows its load
    days: Spark

    @property
    def share(self) -> float | None:
        """The share of the replica-seconds that scaling has saved."""
        if not self.follows or not self.at_max_s or self.used_s > self.at_max_s:
            return None
        return 1 - self.used_s / self.at_max_s


class Replicas(NamedTuple):
    """The replicas of all pools; `ready` is None while no report can be read."""

    ready: int | None
    desired: int
    most: int
    pools: tuple[tuple[str, int | None, int], ...]
    history: Spark


@router.get("/")
def home(request: Request, viewer: ViewerDep) -> Response:
    """The first page; a person who only reviews is sent to the review screen."""
    if viewer.only_reviews:
        return redirect("/review")
    viewer.require(Scope.READ)
    database, project = viewer.stores.database, viewer.caller.project
    jobs, reader = JobScreens(database, project), HomeReader(database, project)
    running, _ = jobs.page(JobQuery(state="live"), RUNNING)
    models = reader.models(MODELS)
    return page(
        request,
        viewer,
        "home.html",
        screen="home",
        running=running,
        failed=jobs.failed_since(FAILED_FOR, FAILED),
        failed_shown=FAILED_SHOWN,
        doubtful=reader.doubtful(),
        drifts=from_thread.run(viewer.backends.drift_alarms.get, project),
        pipelines=_newest_runs(viewer),
        tones=TONES,
        models=models,
        saved=_saved(viewer),
        replicas=_replicas(viewer),
    )


def _newest_runs(viewer: Viewer) -> tuple[Pipeline, ...]:
    """Return the pipelines that have run, the newest run first."""
    items = [(one.last_run.started_at, one) for one in viewer.stores.pipelines.list(PIPELINES).items if one.last_run]
    return tuple(one for _, one in sorted(items, key=lambda pair: pair[0], reverse=True))


def _saved(viewer: Viewer) -> Saved:
    today = viewer.stores.database.now().date()
    since = today - timedelta(days=DAYS - 1)
    usage = viewer.backends.stores.ledger.sums(viewer.caller.project, since, today, UsageBy.DAY, DAYS)
    lines = {line.key: line for line in usage.items}
    days = [lines.get(str(since + timedelta(days=number))) for number in range(DAYS)]
    used, most = [_used(line) for line in days], [_most(line) for line in days]
    at_max = sum(most) if any(most) else None
    follows = any(setting.mode is PoolMode.AUTO for setting in viewer.backends.stores.pools.list())
    return Saved(sum(used), at_max, follows, columns(used, most, _day_names(since)))


def _used(line: UsageLine | None) -> float:
    if line is None:
        return 0.0
    return line.ready_s if line.ready_s is not None else line.jobs_s + line.online_s


def _most(line: UsageLine | None) -> float:
    return 0.0 if line is None else line.at_max_s or 0.0


def _day_names(since: date) -> Sequence[str]:
    return [(since + timedelta(days=number)).strftime("%A") for number in range(DAYS)]


def _replicas(viewer: Viewer) -> Replicas:
    backends = viewer.backends
    measured, settings = backends.demand.measure(), backends.stores.pools.list()
    pools = tuple((setting.name, measured[setting.name].ready, setting.desired) for setting in settings)
    ready = [count for _, count, _ in pools]
    known = [count for count in ready if count is not None]
    changes = sorted(
        (change.at.timestamp(), setting.name, change.desired)
        for setting in settings
        for change in backends.stores.pools.history(setting.name, 100).items
    )
    return Replicas(
        ready=sum(known) if len(known) == len(ready) else None,
        desired=sum(setting.desired for setting in settings),
        most=sum(setting.most for setting in settings),
        pools=pools,
        history=steps(changes, {setting.name: setting.desired for setting in settings}, viewer.stores.database.now()),
    )
