"""The workers' side of jobs: claim, renew, finish; every change is an UPDATE guarded by the fencing token."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, update

from contract.artifacts import ObjectRef
from contract.division import Outcome
from contract.errors import Cancelled, TidepoolError
from contract.jobs import EventDraft, EventKind, Job, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.claims import Claim, take
from services.storage.jobs.events import add_events, record_state
from services.storage.jobs.parts import fail_parent
from services.storage.jobs.publication import publish, reject
from services.storage.jobs.rows import LEASE, Lease, change, ended, held, job_of, lock_parent, lock_root
from services.storage.references import Owner, add_references, drop_references
from services.storage.tables import jobs

BACKOFF_S = 5.0  # doubled at each failure
MAX_BACKOFF_S = 300.0


class Leases:
    """The workers' side of the jobs table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, kinds: str | Collection[str], worker: str) -> Claim | None:
        """Claim the best due job of one or several kinds; None if no job is due."""
        kinds = {kinds} if isinstance(kinds, str) else kinds
        with self._database.write() as connection:
            return take(connection, kinds, worker, self._database.now())

    def renew(self, lease: Lease, progress: Progress | None = None) -> bool:
        """Extend the lease and publish the progress; return whether the job should end early, with its best model.

        Raises LeaseLost, or Cancelled if cancellation was requested.
        """
        now = self._database.now()
        values: dict[str, Any] = {"lease_until": now + LEASE}
        if progress is not None:
            values |= {"progress": progress.fraction, "progress_message": progress.message}
        with self._database.write() as connection:
            row = change(connection, held(lease).values(values))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")
            if progress is not None and lease.parent_id is None:
                draft = EventDraft(kind=EventKind.PROGRESS, data=progress.model_dump())
                add_events(connection, lease.root, [draft], now)
            return bool(row["keep_best"])

    def save_checkpoint(self, lease: Lease, checkpoint: ObjectRef, metrics: dict[str, Any] | None = None) -> None:
        """Save the checkpoint that the next attempt resumes from, and add an event with its metrics; raises LeaseLost.

        Both happen in one transaction, and saving the same checkpoint again adds no event, so metrics are never
        reported twice.
        """
        drafts = [EventDraft(kind=EventKind.METRICS, data=metrics)] if metrics else []
        saved = checkpoint.model_dump(mode="json")
        with self._database.write() as connection:
            lock_root(connection, lease)
            earlier = change(connection, held(lease).values(worker=jobs.c.worker))["checkpoint"]
            if earlier != saved:  # otherwise the worker repeats a call whose reply was lost
                change(connection, held(lease).values(checkpoint=saved))
                drop_references(connection, Owner.JOB_CHECKPOINT, lease.job_id)
                add_references(connection, Owner.JOB_CHECKPOINT, lease.job_id, checkpoint)
                add_events(connection, lease.root, drafts, self._database.now())

    def log(self, lease: Lease, message: str) -> None:
        """Add a log line to the job's events; raises LeaseLost."""
        with self._database.write() as connection:
            lock_root(connection, lease)
            change(connection, held(lease).values(worker=jobs.c.worker))
            draft = EventDraft(kind=EventKind.LOG, data={"message": message})
            add_events(connection, lease.root, [draft], self._database.now())

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """Publish the attempt's result and end the job as succeeded in one transaction; raises LeaseLost, Cancelled."""
        now = self._database.now()
        with self._database.write() as connection:
            lock_parent(connection, lease)
            row = change(connection, held(lease).values(ended(JobState.SUCCEEDED, now)))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")  # rolls the transaction back
            published = publish(connection, job_of(row), outcome, now)
            if lease.child_of is None:
                add_references(connection, Owner.JOB_OUTPUT, lease.job_id, published)
            else:  # only the parent needs it, until it ends
                add_references(connection, Owner.JOB_PARTS, lease.child_of, published)
            values = published | {"progress": 1.0, "progress_message": "done"}
            values |= {"error_code": None, "error_message": None}  # of an earlier attempt
            row = change(connection, update(jobs).where(jobs.c.id == lease.job_id).values(values))
            record_state(connection, row, now)
            return job_of(row)

    def fail(self, lease: Lease, error: TidepoolError) -> Job:
        """Charge a failure: requeue the job with back-off, or end it as failed; raises LeaseLost."""
        now = self._database.now()
        with self._database.write() as connection:
            lock_root(connection, lease)
            lock_parent(connection, lease)
            row = change(connection, held(lease).values(failures=jobs.c.failures + 1))
            row = change(connection, held(lease).values(self._after_failure(row, error)))
            if row["state"] == JobState.FAILED and (rejected := reject(connection, job_of(row), error, now)):
                row = change(connection, update(jobs).where(jobs.c.id == lease.job_id).values(rejected))
            record_state(connection, row, now)
            if row["parent_id"] is not None and row["state"] == JobState.FAILED:
                fail_parent(connection, row)
            return job_of(row)

    def release(self, lease: Lease, delay_s: float = 0.0) -> None:
        """Requeue the job without charging a failure, or end it if cancellation was requested; raises LeaseLost.

        It is due after `delay_s` seconds.
        """
        now = self._database.now()
        waiting = {
            "state": JobState.QUEUED,
            "run_at": now + timedelta(seconds=delay_s),
            "woken_at": now - LEASE,
            "progress_message": "waiting for more replicas" if delay_s else "moving to another replica",
        }
        with self._database.write() as connection:
            lock_parent(connection, lease)
            row = change(connection, held(lease).values(lease_until=None))
            outcome = ended(JobState.CANCELLED, now) if row["cancel_requested"] else waiting
            record_state(connection, change(connection, held(lease).values(outcome)), now)

    def cancelled(self, lease: Lease) -> None:
        """End the job as cancelled after its attempt has stopped; raises LeaseLost."""
        now = self._database.now()
        with self._database.write() as connection:
            lock_parent(connection, lease)
            row = change(connection, held(lease).values(ended(JobState.CANCELLED, now)))
            record_state(connection, row, now)

    def _after_failure(self, row: RowMapping, error: TidepoolError) -> dict[str, Any]:
        now = self._database.now()
        reason = {"error_code": error.code, "error_message": error.message, "lease_until": None}
        if row["cancel_requested"]:
            return ended(JobState.CANCELLED, now)
        if not error.retryable or row["failures"] >= row["max_attempts"]:
            return ended(JobState.FAILED, now) | reason
        wait = timedelta(seconds=min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (row["failures"] - 1)))
        # `woken_at` lies in the past, so the reconciler's first pass after `run_at` sends a wake-up message
        return {"state": JobState.QUEUED, "run_at": now + wait, "woken_at": now - LEASE, **reason}
