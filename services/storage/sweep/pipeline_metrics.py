"""Prometheus metrics of pipelines; those by pipeline are read from the database, so they survive a restart."""

from prometheus_client import Counter, Gauge
from sqlalchemy import func, select

from contract.pipelines import RunState
from services.storage.database import Database
from services.storage.tables import pipeline_runs

NAMES = ["project", "pipeline"]
RUNS = Counter("tidepool_pipeline_runs_total", "Runs of pipelines that have ended.", ["outcome"])
FAILURES = Gauge("tidepool_pipeline_failures", "Runs of a pipeline that failed since another one did not.", NAMES)
SUCCESS_AGE = Gauge(
    "tidepool_pipeline_last_success_age_seconds", "Time since a run of a pipeline last ended without failing.", NAMES
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
        ages = connection.execute(last).all()
        failures = {(project, pipeline): count for project, pipeline, count in connection.execute(failed)}
    now = database.now()
    FAILURES.clear()
    SUCCESS_AGE.clear()
    for row in ages:
        FAILURES.labels(row.project, row.pipeline).set(0)
        SUCCESS_AGE.labels(row.project, row.pipeline).set((now - row.at).total_seconds())
    for names, count in failures.items():
        FAILURES.labels(*names).set(count)
