"""Prometheus metrics of pipelines; those by pipeline are read from the database, so they survive a restart.

A pipeline of another project than the default one is called `project/name`.
"""

from prometheus_client import Counter, Gauge
from sqlalchemy import func, select

from contract.access import DEFAULT_PROJECT
from contract.pipelines import RunState
from services.storage.database import Database
from services.storage.tables import pipeline_runs

MOST = 500  # pipelines with time series
RUNS = Counter("tidepool_pipeline_runs_total", "Runs of pipelines that have ended.", ["outcome"])
FAILURES = Gauge(
    "tidepool_pipeline_failures", "Runs of a pipeline that failed since another one did not.", ["pipeline"]
)
SUCCESS_AGE = Gauge(
    "tidepool_pipeline_last_success_age_seconds",
    "Time since a run of a pipeline last ended without failing.",
    ["pipeline"],
)


def show_pipelines(database: Database) -> None:
    """Set the gauges; raises DatabaseUnavailable."""
    table = pipeline_runs.c
    good = table.state.not_in((RunState.RUNNING, RunState.FAILED))
    key = (table.project, table.pipeline)
    last = select(*key, func.max(table.id).label("id"), func.max(table.ended_at).label("at")).where(good).group_by(*key)
    last_good = last.subquery()
    same = (last_good.c.project == table.project) & (last_good.c.pipeline == table.pipeline)
    failed = select(*key, func.count()).select_from(pipeline_runs).outerjoin(last_good, same)
    since = last_good.c.id.is_(None) | (table.id > last_good.c.id)
    failed = failed.where(table.state == RunState.FAILED, since).group_by(*key)
    with database.read() as connection:
        ages = connection.execute(last.limit(MOST)).all()
        failures = connection.execute(failed.limit(MOST)).all()
    now = database.now()
    FAILURES.clear()
    SUCCESS_AGE.clear()
    for row in ages:
        FAILURES.labels(_label(row.project, row.pipeline)).set(0)
        SUCCESS_AGE.labels(_label(row.project, row.pipeline)).set((now - row.at).total_seconds())
    for project, pipeline, count in failures:
        FAILURES.labels(_label(project, pipeline)).set(count)


def _label(project: str, pipeline: str) -> str:
    return pipeline if project == DEFAULT_PROJECT else f"{project}/{pipeline}"
