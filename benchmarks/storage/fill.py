"""Fill a migrated database with jobs, parts and events, as years of work leave them."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, insert, select, text

from benchmarks.batches import batches
from contract.access import DEFAULT_PROJECT
from contract.jobs import JobState
from services.storage.database import Database
from services.storage.jobs.counts import fold
from services.storage.tables import job_events, jobs, outbox, projects
from tests.examples import PREPROCESS_SPEC
from tests.examples.jobs import TRAIN_SPEC

PARTS = 500  # of a divided job
MODELS, DATASETS = 20, 40
KINDS = ("preprocess", "train", "predict", "evaluate")
SPECS = {"preprocess": PREPROCESS_SPEC.model_dump_json(), "train": TRAIN_SPEC.model_dump_json()}
ENDED = (JobState.SUCCEEDED,) * 16 + (JobState.FAILED,) * 2 + (JobState.CANCELLED, JobState.EXPIRED)
BATCH = 10_000


@dataclass(frozen=True)
class Plan:
    """How many rows the table of jobs gets, how many of them are queued, and in how many projects."""

    rows: int
    queued: int
    projects: int

    @property
    def names(self) -> tuple[str, ...]:
        return (DEFAULT_PROJECT, *(f"project-{number}" for number in range(1, self.projects)))


def fill(database: Database, plan: Plan) -> None:
    """Insert the rows in one transaction, with the table's indexes made anew after it."""
    now = datetime.now(UTC)
    others = [{"name": name, "description": "", "created_at": now} for name in plan.names[1:]]
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        if others:
            connection.execute(insert(projects), others)
        statements = _without_indexes(connection)
        _load(connection, jobs, _jobs(plan, now))
        _load(connection, job_events, _events(plan, now))
        for statement in statements:
            connection.execute(text(statement))
        waiting = select(jobs.c.id, jobs.c.kind).where(jobs.c.state == JobState.QUEUED)
        connection.execute(insert(outbox).from_select(["job_id", "kind"], waiting.limit(plan.queued // 10)))
        fold(connection)  # as the sweep does every five seconds
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))


def _without_indexes(connection: Connection) -> Sequence[str]:
    """Drop the indexes of the table of jobs; return the statements that create them again."""
    master = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
    catalog = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'jobs' AND indexname <> 'pk_jobs'"
    rows = connection.execute(text(master if connection.dialect.name == "sqlite" else catalog)).all()
    for name, _ in rows:
        connection.execute(text(f"DROP INDEX {name}"))
    return [statement for _, statement in rows]


def _load(connection: Connection, table: Table, rows: Iterator[Mapping[str, Any]]) -> None:
    if connection.dialect.name == "postgresql":
        first = next(rows)
        columns = [table.c[key].name for key in first]
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:  # type: ignore[attr-defined]
            for row in itertools.chain([first], rows):
                copy.write_row(tuple(row.values()))
        return
    for batch in batches(rows, BATCH):
        columns = [table.c[key].name for key in batch[0]]
        values = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values})"
        connection.exec_driver_sql(statement, [tuple(map(_sqlite, row.values())) for row in batch])


def _sqlite(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def job_id(number: int, at: datetime) -> str:
    """Return an id as UUID version 7 has it, so that ids sort by age."""
    head = f"{int(at.timestamp() * 1000):012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-{number:012x}"


def _jobs(plan: Plan, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield half of the rows as parts of divided jobs, each after its parent; the newest rows are queued."""
    parent: dict[str, Any] | None = None
    block = 2 * PARTS
    for number in range(plan.rows):
        at = now - timedelta(seconds=(plan.rows - number) * 30)
        ended = number < plan.rows - plan.queued
        place = number % block
        state = ENDED[number % len(ENDED)] if ended else JobState.QUEUED
        row = _row(plan, number, at, state)
        if place == 0 and number + PARTS < plan.rows:
            parent = row | {"kind": "preprocess", "spec": SPECS["preprocess"], "parts_total": PARTS, "parts_left": 0}
            if not ended:
                parent |= {"state": JobState.RUNNING, "parts_left": PARTS, "finished_at": None}
            row = parent
        elif place <= PARTS and parent is not None:
            same = {name: parent[name] for name in ("project", "kind", "model", "dataset", "priority")}
            row |= same | {"parent_id": parent["id"], "part": place - 1, "spec": json.dumps({"number": place})}
        yield row


def _row(plan: Plan, number: int, at: datetime, state: JobState) -> dict[str, Any]:
    kind = KINDS[number % len(KINDS)]
    ended = state != JobState.QUEUED
    return {
        "id": job_id(number, at),
        "project": plan.names[(number // 1000) % len(plan.names) if number % 3 else 0],
        "kind": kind,
        "state": state,
        "spec": SPECS.get(kind, SPECS["train"]),
        "priority": number % 3,
        "dataset": f"dataset-{number % DATASETS}",
        "model": f"model-{number % MODELS}",
        "attempt": int(ended),
        "failures": 0,
        "max_attempts": 3,
        "fence": int(ended),
        "run_at": at,
        "woken_at": at,
        "deadline_at": None,
        "cancel_requested": False,
        "progress": float(ended),
        "progress_message": "",
        "created_at": at,
        "started_at": at if ended else None,
        "finished_at": at + timedelta(seconds=20) if ended else None,
        "last_event": 2,
        "parent_id": None,
        "part": None,
        "parts_total": None,
        "parts_left": None,
    }


def _events(plan: Plan, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield two events for each of the jobs that are not parts."""
    for row in _jobs(plan, now):
        if row["parent_id"] is None:
            for number in (1, 2):
                data = json.dumps({"state": row["state"], "attempt": 1})
                yield {"job_id": row["id"], "id": number, "kind": "state", "data": data, "at": row["created_at"]}
