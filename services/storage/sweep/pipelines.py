"""Runs pipelines within the storage process: starts what is due, and takes the steps of runs."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, RowMapping, select, update

from contract.errors import Conflict, NotFound, QuotaExceeded, Refused, Unavailable
from contract.pipelines import PipelineRequest, PipelineRun, RunState, Trigger
from contract.projects import Quotas
from services.storage.access.audit import Actor
from services.storage.database import Database
from services.storage.people.candidates import point_at
from services.storage.people.runs import begin, find, named, newest_run, request_of, run_of, runs_of
from services.storage.people.schedule import next_time
from services.storage.stores import ProjectStores
from services.storage.sweep.pipeline_metrics import RUNS
from services.storage.sweep.pipeline_signals import Signals
from services.storage.sweep.pipeline_steps import STEPS, Context, Move, end
from services.storage.tables import pipeline_runs, pipelines, projects

ACTOR = "pipeline"
DRIFT_RUNS = timedelta(days=1)  # between two runs started by drift
DRIFT_READS = timedelta(minutes=10)  # between two looks for drift
QUOTA_TRIES = timedelta(minutes=1)  # between two tries of a step for which the project's quota leaves no room

log = structlog.get_logger()


class Key(NamedTuple):
    """A pipeline."""

    project: str
    name: str


class PipelineRunner:
    """Starts and advances the runs of all projects.

    Each change is a transaction that checks, under a lock, that the run is still at the step that was read, and creates
    the job of the next step itself. So a process may stop at any point, and any number of them may run at once.
    """

    def __init__(self, database: Database, signals: Signals | None = None) -> None:
        self._database = database
        self._signals = signals or Signals(database)
        self._drift_read: dict[Key, datetime] = {}
        self._waits: dict[str, datetime] = {}  # runs that the quota stops, and when they are tried again

    def start_due(self) -> int:
        """Start the runs that are due; return how many. Raises DatabaseUnavailable."""
        visible = select(pipelines).join(projects, projects.c.name == pipelines.c.project)
        query = visible.where(projects.c.purge_job.is_(None), ~pipelines.c.paused)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return sum(self._start_safely(row) for row in rows)

    def advance(self) -> int:
        """Take the next step of each run that can; return how many did. Raises DatabaseUnavailable."""
        joined = (pipelines.c.project == pipeline_runs.c.project) & (pipelines.c.name == pipeline_runs.c.pipeline)
        query = select(pipeline_runs, pipelines.c.request, projects.c.quotas).join(pipelines, joined)
        query = query.join(projects, projects.c.name == pipelines.c.project).where(projects.c.purge_job.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(query.where(pipeline_runs.c.state == RunState.RUNNING)).mappings().all()
        now = self._database.now()
        self._waits = {run: until for run, until in self._waits.items() if until > now}
        return sum(self._advance(row) for row in rows if row["id"] not in self._waits)

    def _start_safely(self, row: RowMapping) -> bool:
        """Start a run if it is due; an error in one pipeline does not stop the others."""
        try:
            return self._start(row)
        except Unavailable:
            raise
        except Exception:
            log.exception("a pipeline cannot start", project=row["project"], pipeline=row["name"])
            return False

    def _start(self, row: RowMapping) -> bool:
        key, now = Key(row["project"], row["name"]), self._database.now()
        with self._database.read() as connection:
            newest = newest_run(connection, *key)
        if newest is not None and newest["state"] == RunState.RUNNING:
            return False
        trigger = self._trigger(key, row, newest, now)
        return trigger is not None and self._begin(key, row, newest, trigger, now)

    def _trigger(self, key: Key, row: RowMapping, newest: RowMapping | None, now: datetime) -> Trigger | None:
        request = request_of(row)
        if row["next_at"] is not None and row["next_at"] <= now:
            return "cron"
        since = None if newest is None else newest["started_at"]
        labels = request.when.labels
        if labels is not None and self._signals.labels(key.project, request.dataset, since) >= labels:
            return "labels"
        if request.when.drift and self._drift_read.get(key, now - DRIFT_READS) <= now - DRIFT_READS:
            self._drift_read[key] = now
            if not self._started_by_drift(key, now - DRIFT_RUNS) and self._signals.drifts(key.project, request):
                return "drift"
        return None

    def _started_by_drift(self, key: Key, since: datetime) -> bool:
        table = pipeline_runs.c
        by_drift = select(table.id).where(runs_of(*key), table.trigger == "drift", table.started_at > since).limit(1)
        with self._database.read() as connection:
            return connection.execute(by_drift).first() is not None

    def _begin(self, key: Key, row: RowMapping, newest: RowMapping | None, trigger: Trigger, now: datetime) -> bool:
        """Start a run unless the pipeline has changed or begun a run since it was read."""
        with self._database.write() as connection:
            try:
                current = find(connection, *key, lock=True)
            except NotFound:
                return False
            latest = newest_run(connection, *key)
            ids = [run and run["id"] for run in (newest, latest)]
            if ids[0] != ids[1] or (current["paused"], current["next_at"]) != (row["paused"], row["next_at"]):
                return False
            run = begin(connection, *key, trigger, now)
            if trigger == "cron":  # one run makes up for all times that were missed
                following = next_time(str(request_of(row).when.cron), now)
                connection.execute(update(pipelines).where(named(*key)).values(next_at=following))
        log.info("a pipeline starts", project=key.project, pipeline=key.name, run=run["id"], trigger=trigger)
        return True

    def _advance(self, row: RowMapping) -> bool:
        """Take a step of a run, and return whether it did; the run ends if the step is refused."""
        run, request = run_of(row), request_of(row)
        stores = self._stores(row["project"], request, row["quotas"])
        try:
            move = STEPS[run.step](Context(run, request, stores, self._signals, self._database.now()))
            if move is None:
                return False
            return self._apply(run, request, stores, move)
        except QuotaExceeded as error:
            self._waits[run.id] = self._database.now() + QUOTA_TRIES
            if run.reason != (waits := f"waits: {error.message}"):
                self._apply(run, request, stores, Move({"reason": waits}))
            return False
        except Refused as error:
            return self._apply(run, request, stores, end(RunState.FAILED, error.message))
        except Unavailable:
            raise
        except Exception:
            log.exception("a step of a pipeline failed", project=stores.project, pipeline=run.pipeline, step=run.step)
            failed = end(RunState.FAILED, "the storage process failed; its log says why")
            return self._apply(run, request, stores, failed)

    def _apply(self, run: PipelineRun, request: PipelineRequest, stores: ProjectStores, move: Move) -> bool:
        """Do what a step has returned; return False if the run is at another step by now."""
        now, table = self._database.now(), pipeline_runs.c
        with self._database.write() as connection:
            same = (table.id == run.id) & (table.state == RunState.RUNNING) & (table.step == run.step)
            same &= table.revise_job.is_not_distinct_from(run.revise_job)  # a step that is repeated
            if connection.execute(select(table.id).where(same).with_for_update()).first() is None:
                return False
            values = self._moved(connection, run, request, stores, move, now)
            state = RunState(values.get("state", RunState.RUNNING))
            if state is not RunState.RUNNING:
                values["ended_at"] = now
            connection.execute(update(pipeline_runs).where(same).values(values))
        if state is not RunState.RUNNING:
            RUNS.labels(state).inc()
            log.info("a pipeline has run", project=stores.project, pipeline=run.pipeline, run=run.id, outcome=state)
        return True

    def _moved(
        self,
        connection: Connection,
        run: PipelineRun,
        request: PipelineRequest,
        stores: ProjectStores,
        move: Move,
        now: datetime,
    ) -> dict[str, Any]:
        """Point the alias and create the job, and return the columns to change."""
        values = dict(move.values)
        if move.notes:
            values["notes"] = [*run.notes, *move.notes]
        if move.traffic is not None and stores.actor is not None:
            try:
                point_at(connection, stores.project, stores.actor, request, run, move.traffic, now)
            except Conflict as error:
                return values | {"step": run.step, "state": RunState.SUPERSEDED, "reason": error.message}
        if move.request is not None:
            job = stores.jobs.accept(connection, move.request, run.pipeline)
            values[f"{values['step']}_job"] = job.id
        return values

    def _stores(self, project: str, request: PipelineRequest, quotas: dict[str, Any] | None) -> ProjectStores:
        actor = Actor(ACTOR, f"{ACTOR}:{request.name}", "", project)
        return ProjectStores(project, self._database, None, actor, Quotas.model_validate(quotas) if quotas else None)
