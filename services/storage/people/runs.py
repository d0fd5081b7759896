"""Rows of pipelines and their runs: the public views, and the start of a run."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import uuid_utils
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select

from contract.errors import Conflict, NotFound
from contract.pipelines import Pipeline, PipelineRequest, PipelineRun, RunState, Trigger
from services.storage.people.schedule import in_words
from services.storage.tables import pipeline_runs, pipelines

KEEP = 200  # runs of a pipeline


def run_of(row: RowMapping) -> PipelineRun:
    return PipelineRun.model_validate({name: row[name] for name in PipelineRun.model_fields})


def request_of(row: RowMapping) -> PipelineRequest:
    return PipelineRequest.model_validate(row["request"])


def pipeline_of(row: RowMapping, last_run: RowMapping | None, now: datetime, warning: str | None = None) -> Pipeline:
    request = request_of(row)
    cron = request.when.cron
    return Pipeline(
        **dict(request),
        paused=row["paused"],
        next_run_at=row["next_at"],
        schedule=None if cron is None else in_words(cron, now),
        last_run=None if last_run is None else run_of(last_run),
        warning=warning,
        created_at=row["created_at"],
    )


def named(project: str, name: str) -> ColumnElement[bool]:
    """Return the condition for a pipeline."""
    return (pipelines.c.project == project) & (pipelines.c.name == name)


def runs_of(project: str, name: str) -> ColumnElement[bool]:
    """Return the condition for the runs of a pipeline."""
    return (pipeline_runs.c.project == project) & (pipeline_runs.c.pipeline == name)


def find(connection: Connection, project: str, name: str, *, lock: bool = False) -> RowMapping:
    """Return the row of a pipeline, with `lock` locked, so that one run starts at once; raises NotFound."""
    query = select(pipelines).where(named(project, name))
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no pipeline {name}")
    return row


def newest_run(
    connection: Connection, project: str, name: str, states: Collection[RunState] | None = None, *, lock: bool = False
) -> RowMapping | None:
    """Return a pipeline's newest run, or its newest in one of some states."""
    query = select(pipeline_runs).where(runs_of(project, name)).order_by(pipeline_runs.c.id.desc()).limit(1)
    if states is not None:
        query = query.where(pipeline_runs.c.state.in_(states))
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def begin(connection: Connection, project: str, name: str, trigger: Trigger, now: datetime) -> RowMapping:
    """Start a run of a pipeline whose row is locked; the storage process takes its steps.

    Raises Conflict if it has a run that has not ended. Deletes the oldest runs beyond KEEP.
    """
    newest = newest_run(connection, project, name)
    if newest is not None and newest["state"] == RunState.RUNNING:
        raise Conflict(f"the pipeline {name} runs already, and has one run at once; wait, or cancel the job of its run")
    values: dict[str, Any] = {
        "id": str(uuid_utils.uuid7()),
        "project": project,
        "pipeline": name,
        "state": RunState.RUNNING,
        "step": "start",
        "trigger": trigger,
        "reason": "about to start",
        "notes": [],
        "labels": 0,
        "started_at": now,
    }
    row = connection.execute(insert(pipeline_runs).values(values).returning(pipeline_runs)).mappings().one()
    own = pipeline_runs.c.id
    oldest = select(own).where(runs_of(project, name)).order_by(own.desc()).offset(KEEP).limit(1).scalar_subquery()
    connection.execute(delete(pipeline_runs).where(runs_of(project, name), own <= oldest))
    return row
