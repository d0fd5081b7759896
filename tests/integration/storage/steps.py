"""Steps that many storage tests share."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import event, select, text

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.division import Division
from contract.errors import BadArchive
from contract.jobs import Job, JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest
from contract.kinds.train import TrainSpec
from contract.references import Reference
from services.storage.database import Database
from services.storage.jobs.claims import Claim
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.references import Owner
from services.storage.sweep.reconciler import Reconciler
from services.storage.tables import object_references
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, PREPROCESS_SPEC, TRAIN_REQUEST
from tests.support.clock import FakeClock

Result = TypeVar("Result")

DAY_S = 86400.0


def claimed(leases: Leases, kind: JobKind = JobKind.PREPROCESS) -> Claim:
    """Claim a job; there must be one."""
    claim = leases.claim(kind, "worker")
    assert claim is not None
    return claim


def publish_dataset(database: Database, name: str) -> Reference:
    """Publish a dataset version by a preprocessing job."""
    spec = PREPROCESS_SPEC.model_copy(update={"dataset": name})
    Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST.model_copy(update={"spec": spec}))
    leases = Leases(database)
    result = leases.finish(claimed(leases).lease, DATASET_MANIFEST).result
    assert result is not None
    return Reference.parse(result["dataset"])


def publish_model(database: Database, name: str) -> Reference:
    """Publish a model version by a training job."""
    Jobs(database, DEFAULT_PROJECT).create(
        TRAIN_REQUEST.model_copy(update={"spec": TrainSpec(dataset="pets@1", model=name)})
    )
    leases = Leases(database)
    result = leases.finish(claimed(leases, JobKind.TRAIN).lease, MODEL_MANIFEST).result
    assert result is not None
    return Reference.parse(result["model"])


def job_in(state: JobState, database: Database, clock: FakeClock) -> Job:
    """A preprocessing job in the given state, reached by ordinary calls."""
    jobs, leases = Jobs(database, DEFAULT_PROJECT), Leases(database)
    job = jobs.create(PREPROCESS_REQUEST.model_copy(update={"deadline_s": DAY_S}))
    if state == JobState.CANCELLED:
        jobs.cancel(job.id)
    elif state == JobState.EXPIRED:
        clock.tick(DAY_S + 1)
        Reconciler(database).repair()
    elif state != JobState.QUEUED:
        lease = claimed(leases).lease
        if state == JobState.SUCCEEDED:
            leases.finish(lease, DATASET_MANIFEST)
        elif state == JobState.FAILED:
            leases.fail(lease, BadArchive("the file is not a zip archive"))
    job = jobs.get(job.id)
    assert job.state == state
    return job


def divided(database: Database, count: int, request: PreprocessRequest = PREPROCESS_REQUEST) -> Job:
    """A job divided into parts {"number": 0}, {"number": 1}, …; no other job may be due before it."""
    job, leases = Jobs(database, DEFAULT_PROJECT).create(request), Leases(database)
    division = Division(parts=tuple({"number": number} for number in range(count)))
    Parts(database).divide(claimed(leases).lease, division)
    return job


def ref(name: str) -> ObjectRef:
    return ObjectRef(bucket=Bucket.JOBS, key=f"job/attempts/1/{name}", size=1, sha256="0" * 64)


def owned(database: Database, owner: Owner) -> dict[str, set[str]]:
    """The names of the objects that each owner of a kind refers to, by the owner's id."""
    table = object_references.c
    names: dict[str, set[str]] = {}
    with database.read() as connection:
        for row in connection.execute(select(object_references).where(table.owner_kind == owner)):
            assert row.bucket == (Bucket.UPLOADS if owner is Owner.UPLOAD else Bucket.JOBS)
            names.setdefault(row.owner_id, set()).add(row.key.split("/")[-1])
    return names


def together(count: int, action: Callable[[int], Result]) -> list[Result]:
    """Call `action` with 0, 1, … in `count` threads that start simultaneously; return the results."""
    start = threading.Barrier(count)

    def run(index: int) -> Result:
        start.wait()
        return action(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def query_plans(database: Database, action: Callable[[], object]) -> dict[str, str]:
    """Return how the database finds the rows of each statement that an action executes.

    PostgreSQL, which reads small tables without their indexes, is told that doing so is slow.
    """
    statements: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    action()
    event.remove(database.engine, "before_cursor_execute", note)
    plans = {}
    sqlite = database.engine.dialect.name == "sqlite"
    with database.engine.connect() as connection:
        if not sqlite:
            for method in ("seqscan", "bitmapscan", "sort"):
                connection.execute(text(f"SET LOCAL enable_{method} = off"))
        for statement, parameters in statements:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
                rows = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()  # type: ignore[arg-type]
                plans[statement] = "\n".join(str(row[-1]) for row in rows)
    return plans
