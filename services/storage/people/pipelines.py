"""The pipelines of a project: create, read, pause, start and delete them."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from contract.audit import AuditAction
from contract.base import Frozen
from contract.datasets import DatasetManifest
from contract.errors import Conflict, NotFound, Refused
from contract.pipelines import Pipeline, PipelineRequest, PipelineRun, RunState
from contract.references import Reference
from services.storage.access.audit import Actor, record
from services.storage.catalog.versions import DATASETS, MODELS, find_version, manifest_of
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.jobs.jobs import Jobs
from services.storage.people.candidates import champion_of, end_shadow
from services.storage.people.gate import out_of_reach
from services.storage.people.runs import begin, find, named, newest_run, pipeline_of, request_of, run_of, runs_of
from services.storage.people.schedule import next_time
from services.storage.tables import pipeline_runs, pipelines

MOST = 50  # pipelines of a project: their metrics have their names


class PipelinePage(Frozen):
    """Pipelines, by name; `next` is the cursor of the next page."""

    items: tuple[Pipeline, ...]
    next: str | None


class RunPage(Frozen):
    """Runs, newest first; `next` is the cursor of the next page."""

    items: tuple[PipelineRun, ...]
    next: str | None


class Pipelines:
    """The pipelines of a project; raises DatabaseUnavailable."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def create(self, request: PipelineRequest, once: IdempotencyKey | None = None) -> Pipeline:
        """Create a pipeline.

        Raises NotFound for an unknown dataset, model or alias, Conflict for a name that is taken or too many, and
        Invalid for a wrong cron expression.
        """
        now = self._database.now()
        values = {
            "project": self._project,
            "name": request.name,
            "request": request.model_dump(mode="json"),
            "paused": False,
            "next_at": _next_at(request, now),
            "created_at": now,
        }
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return Pipeline.model_validate(earlier)
            self._require_known(connection, request)
            if connection.execute(select(pipelines.c.name).where(named(self._project, request.name))).first():
                raise Conflict(f"there is a pipeline {request.name} already; delete it, or choose another name")
            own = select(func.count()).where(pipelines.c.project == self._project)
            if connection.execute(own).scalar_one() >= MOST:
                raise Conflict(f"a project has at most {MOST} pipelines; delete one")
            row = connection.execute(insert(pipelines).values(values).returning(pipelines)).mappings().one()
            self._record(connection, AuditAction.CREATE, request.name, now, f"{request.model}@{request.alias}")
            created = pipeline_of(row, None, now, self._warning(connection, request))
            remember(connection, once, created.model_dump(mode="json"), self._database)
        return created

    def list(self, limit: int, cursor: str | None = None) -> PipelinePage:
        """Return a page of the pipelines, sorted by name."""
        query = select(pipelines).where(pipelines.c.project == self._project).order_by(pipelines.c.name)
        if cursor is not None:
            query = query.where(pipelines.c.name > cursor)
        runs = pipeline_runs.c
        newest = select(func.max(runs.id)).where(runs.project == self._project).group_by(runs.pipeline)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
            last = connection.execute(select(pipeline_runs).where(runs.id.in_(newest))).mappings().all()
        by_name = {row["pipeline"]: row for row in last}
        now = self._database.now()
        items = tuple(pipeline_of(row, by_name.get(row["name"]), now) for row in rows[:limit])
        return PipelinePage(items=items, next=items[-1].name if len(rows) > limit else None)

    def get(self, name: str) -> Pipeline:
        """Return a pipeline; raises NotFound."""
        with self._database.read() as connection:
            return self._get(connection, name)

    def pause(self, name: str, paused: bool) -> Pipeline:
        """Let a pipeline start no more runs by itself, or start them again; raises NotFound.

        Times that passed while it was paused are left out.
        """
        now = self._database.now()
        with self._database.write() as connection:
            row = find(connection, self._project, name, lock=True)
            if row["paused"] != paused:
                next_at = None if paused else _next_at(PipelineRequest.model_validate(row["request"]), now)
                changed = update(pipelines).where(named(self._project, name))
                connection.execute(changed.values(paused=paused, next_at=next_at))
                self._record(connection, AuditAction.CHANGE, name, now, "paused" if paused else "resumed")
            return self._get(connection, name)

    def delete(self, name: str) -> None:
        """Delete a pipeline with its runs, and cancel the job of one that has not ended; raises NotFound.

        What its runs have made stays.
        """
        now = self._database.now()
        with self._database.write() as connection:
            request = PipelineRequest.model_validate(find(connection, self._project, name, lock=True)["request"])
            newest = newest_run(connection, self._project, name, lock=True)
            run = None if newest is None or newest["state"] != RunState.RUNNING else run_of(newest)
            connection.execute(delete(pipelines).where(named(self._project, name)))
            self._record(connection, AuditAction.DELETE, name, now)
            if run is not None and run.step == "shadow":
                end_shadow(connection, self._project, self._actor, request, run, now)
        if run is None:
            return
        for job_id in filter(None, (run.revise_job, run.train_job, run.evaluate_job)):
            with suppress(Conflict, NotFound):  # it has ended
                Jobs(self._database, self._project, actor=self._actor).cancel(job_id)

    def start(self, name: str, once: IdempotencyKey | None = None) -> PipelineRun:
        """Start a run, also of a paused pipeline; raises NotFound, or Conflict if one has not ended."""
        now = self._database.now()
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return PipelineRun.model_validate(earlier)
            find(connection, self._project, name, lock=True)
            run = run_of(begin(connection, self._project, name, "person", now))
            self._record(connection, AuditAction.CREATE, f"{name}/runs/{run.id}", now)
            remember(connection, once, run.model_dump(mode="json"), self._database)
        return run

    def runs(self, name: str, limit: int, cursor: str | None = None) -> RunPage:
        """Return a page of a pipeline's runs, newest first; raises NotFound."""
        query = select(pipeline_runs).where(runs_of(self._project, name)).order_by(pipeline_runs.c.id.desc())
        if cursor is not None:
            query = query.where(pipeline_runs.c.id < cursor)
        with self._database.read() as connection:
            self._get(connection, name)
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
        items = tuple(run_of(row) for row in rows[:limit])
        return RunPage(items=items, next=items[-1].id if len(rows) > limit else None)

    def _get(self, connection: Connection, name: str) -> Pipeline:
        row = find(connection, self._project, name)
        warning = self._warning(connection, request_of(row))
        return pipeline_of(row, newest_run(connection, self._project, name), self._database.now(), warning)

    def _warning(self, connection: Connection, request: PipelineRequest) -> str | None:
        """Return why no candidate could pass now; None if one could, or if the champion's accuracy is not known.

        The accuracy is that of its training, if that was on the same dataset: its test images stay the same.
        """
        try:
            dataset = find_version(connection, self._project, DATASETS, Reference(name=request.dataset))
            champion = champion_of(connection, self._project, request)
            manifest = manifest_of(find_version(connection, self._project, MODELS, champion))
        except Refused:  # a run says what is missing
            return None
        test = None if manifest.metrics is None else manifest.metrics.test
        if test is None or manifest.dataset is None or Reference.parse(manifest.dataset).name != request.dataset:
            return None
        images = DatasetManifest.model_validate(dataset["manifest"]).counts.test
        return out_of_reach(images, test.accuracy, request.gate) if images else None

    def _require_known(self, connection: Connection, request: PipelineRequest) -> None:
        find_version(connection, self._project, DATASETS, Reference(name=request.dataset))
        champion = Reference(name=request.model, alias=request.alias)
        try:
            find_version(connection, self._project, MODELS, champion)
        except NotFound:
            raise NotFound(
                f"there is no model {champion}; train one and promote it first, so that candidates have a champion to "
                "compare with"
            ) from None

    def _record(self, connection: Connection, action: AuditAction, name: str, now: datetime, detail: str = "") -> None:
        record(connection, self._actor, action, f"pipelines/{name}", now, detail)


def _next_at(request: PipelineRequest, now: datetime) -> datetime | None:
    return None if request.when.cron is None else next_time(request.when.cron, now)
