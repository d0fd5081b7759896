"""Jobs as workers see them: claim, renew, finish; every state change is a guarded UPDATE under the fence."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Update, and_, case, or_, select, update

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest
from contract.errors import Cancelled, LeaseLost, TidepoolError
from contract.jobs import Job, JobKind, JobState, PreprocessResult, PreprocessSpec, Progress, TrainResult
from contract.training import ModelManifest, TrainSpec
from services.storage.datasets import register_dataset
from services.storage.models import register_model
from services.storage.rows import job_of
from services.storage.session import Database
from services.storage.tables import jobs

LEASE = timedelta(seconds=60)
BACKOFF_S = 5.0  # doubled at each failure
MAX_BACKOFF_S = 300.0


@dataclass(frozen=True)
class Lease:
    """The right to change one job, until somebody claims it under a higher fence."""

    job_id: str
    fence: int


@dataclass(frozen=True)
class Claim:
    """A job taken by a worker, and what an earlier attempt left to resume from."""

    job: Job
    lease: Lease
    checkpoint: ObjectRef | None


class Leases:
    """The workers' side of the jobs table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, kind: JobKind, worker: str) -> Claim | None:
        """Take the best due job of a kind: queued, or running with an expired lease; None when there is none."""
        now = self._database.now()
        abandoned = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)
        due = and_(
            jobs.c.kind == kind,
            jobs.c.cancel_requested.is_(False),
            or_(jobs.c.deadline_at.is_(None), jobs.c.deadline_at > now),
            or_(
                and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now),
                and_(abandoned, jobs.c.failures + 1 < jobs.c.max_attempts),
            ),
        )
        best = select(jobs.c.id).where(due).order_by(jobs.c.priority.desc(), jobs.c.id).limit(1)
        failures = case((jobs.c.state == JobState.RUNNING, jobs.c.failures + 1), else_=jobs.c.failures)
        with self._database.write() as connection:
            row = (
                connection.execute(
                    update(jobs)
                    .where(jobs.c.id == best.with_for_update(skip_locked=True).scalar_subquery(), due)
                    .values(
                        state=JobState.RUNNING,
                        fence=jobs.c.fence + 1,
                        failures=failures,
                        attempt=failures + 1,
                        worker=worker,
                        lease_until=now + LEASE,
                        started_at=case((jobs.c.started_at.is_(None), now), else_=jobs.c.started_at),
                        progress_message="started",
                    )
                    .returning(jobs)
                )
                .mappings()
                .one_or_none()
            )
        if row is None:
            return None
        checkpoint = ObjectRef.model_validate(row["checkpoint"]) if row["checkpoint"] else None
        return Claim(job_of(row), Lease(row["id"], row["fence"]), checkpoint)

    def renew(self, lease: Lease, progress: Progress) -> None:
        """Keep the lease and publish the progress; raises LeaseLost, or Cancelled when that was asked for."""
        renewed = _held(lease).values(
            lease_until=self._database.now() + LEASE, progress=progress.fraction, progress_message=progress.message
        )
        with self._database.write() as connection:
            if _change(connection, renewed)["cancel_requested"]:
                raise Cancelled("the job was cancelled")

    def save_checkpoint(self, lease: Lease, checkpoint: ObjectRef) -> None:
        """Let the next attempt resume from here; raises LeaseLost."""
        with self._database.write() as connection:
            _change(connection, _held(lease).values(checkpoint=checkpoint.model_dump(mode="json")))

    def finish(self, lease: Lease, manifest: DatasetManifest | ModelManifest) -> Job:
        """Publish what the attempt made and succeed, in one transaction; raises LeaseLost, Cancelled."""
        now = self._database.now()
        with self._database.write() as connection:
            row = _change(connection, _held(lease).values(state=JobState.SUCCEEDED, finished_at=now, lease_until=None))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")  # rolls the transaction back
            result = _publish(connection, job_of(row), manifest, now)
            done = {"result": result.model_dump(mode="json"), "progress": 1.0, "progress_message": "done"}
            healed = {"error_code": None, "error_message": None}  # an earlier attempt's
            return job_of(_change(connection, update(jobs).where(jobs.c.id == lease.job_id).values(done | healed)))

    def fail(self, lease: Lease, error: TidepoolError) -> Job:
        """Charge a failure: back to the queue with back-off, or failed for good; raises LeaseLost."""
        with self._database.write() as connection:
            row = _change(connection, _held(lease).values(failures=jobs.c.failures + 1))
            return job_of(_change(connection, _held(lease).values(self._after_failure(row, error))))

    def release(self, lease: Lease) -> None:
        """Give the job back with no failure charged, or cancelled if that was asked for; raises LeaseLost."""
        now = self._database.now()
        cancelled = {"state": JobState.CANCELLED, "finished_at": now}
        waiting = {
            "state": JobState.QUEUED,
            "run_at": now,
            "rung_at": now - LEASE,
            "progress_message": "moving to another replica",
        }
        with self._database.write() as connection:
            row = _change(connection, _held(lease).values(lease_until=None))
            _change(connection, _held(lease).values(cancelled if row["cancel_requested"] else waiting))

    def cancelled(self, lease: Lease) -> None:
        """Say that the attempt stopped because the job was cancelled; raises LeaseLost."""
        with self._database.write() as connection:
            _change(
                connection,
                _held(lease).values(state=JobState.CANCELLED, finished_at=self._database.now(), lease_until=None),
            )

    def _after_failure(self, row: Any, error: TidepoolError) -> dict[str, Any]:
        now = self._database.now()
        reason = {"error_code": error.code, "error_message": error.message, "lease_until": None}
        if row["cancel_requested"]:
            return {"state": JobState.CANCELLED, "finished_at": now, "lease_until": None}
        if not error.retryable or row["failures"] >= row["max_attempts"]:
            return {"state": JobState.FAILED, "finished_at": now, **reason}
        wait = timedelta(seconds=min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (row["failures"] - 1)))
        # rung in the past, so that the reconciler's next pass after `run_at` rings it
        return {"state": JobState.QUEUED, "run_at": now + wait, "rung_at": now - LEASE, **reason}


def _held(lease: Lease) -> Update:
    return update(jobs).where(jobs.c.id == lease.job_id, jobs.c.state == JobState.RUNNING, jobs.c.fence == lease.fence)


def _change(connection: Connection, statement: Update) -> Any:
    row = connection.execute(statement.returning(jobs)).mappings().one_or_none()
    if row is None:
        raise LeaseLost("the job belongs to another attempt now")
    return row


def _publish(
    connection: Connection, job: Job, manifest: DatasetManifest | ModelManifest, now: Any
) -> PreprocessResult | TrainResult:
    spec = job.parsed_spec()
    if isinstance(spec, PreprocessSpec) and isinstance(manifest, DatasetManifest):
        return PreprocessResult.of(register_dataset(connection, spec.dataset, manifest, job.id, now), manifest)
    if isinstance(spec, TrainSpec) and isinstance(manifest, ModelManifest):
        return TrainResult.of(register_model(connection, spec.model, manifest, job.id, now), manifest)
    raise TypeError(f"a {job.kind} job cannot publish a {type(manifest).__name__}")
