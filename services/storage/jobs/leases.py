"""Jobs as workers see them: claim, renew, finish; every change is a guarded UPDATE under the fence."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, update

from contract.artifacts import ObjectRef
from contract.division import Outcome
from contract.errors import Cancelled, TidepoolError
from contract.events import EventDraft, EventKind
from contract.jobs import Job, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.claims import Claim, take
from services.storage.jobs.events import add_events, add_state
from services.storage.jobs.parts import fail_parent
from services.storage.jobs.publication import publish, reject
from services.storage.jobs.rows import LEASE, Lease, change, ended, held, job_of, lock_root
from services.storage.tables import jobs

BACKOFF_S = 5.0  # doubled at each failure
MAX_BACKOFF_S = 300.0


class Leases:
    """The workers' side of the jobs table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, kinds: str | Collection[str], worker: str) -> Claim | None:
        """Take the best due job of a kind, or of several kinds; None when there is none."""
        with self._database.write() as connection:
            wanted = {kinds} if isinstance(kinds, str) else kinds
            return take(connection, wanted, worker, self._database.now())

    def renew(self, lease: Lease, progress: Progress | None = None) -> None:
        """Keep the lease and publish how far the work is; raises LeaseLost, or Cancelled when that was asked for."""
        values: dict[str, Any] = {"lease_until": self._database.now() + LEASE}
        if progress is not None:
            values |= {"progress": progress.fraction, "progress_message": progress.message}
        with self._database.write() as connection:
            if change(connection, held(lease).values(values))["cancel_requested"]:
                raise Cancelled("the job was cancelled")
            if progress is not None and lease.parent_id is None:
                add_events(connection, lease.root, [EventDraft(kind=EventKind.PROGRESS, data=progress.model_dump())])

    def save_checkpoint(self, lease: Lease, checkpoint: ObjectRef, metrics: dict[str, Any] | None = None) -> None:
        """Let the next attempt resume from here, and report the metrics of what need not be repeated.

        Both in one transaction, and the same checkpoint once, so that nothing is reported twice; raises LeaseLost.
        """
        drafts = [EventDraft(kind=EventKind.METRICS, data=metrics)] if metrics else []
        saved = checkpoint.model_dump(mode="json")
        with self._database.write() as connection:
            lock_root(connection, lease)
            earlier = change(connection, held(lease).values(worker=jobs.c.worker))["checkpoint"]
            if earlier != saved:  # else this is a repetition, as the reply to the first time was lost
                change(connection, held(lease).values(checkpoint=saved))
                add_events(connection, lease.root, drafts)

    def log(self, lease: Lease, message: str) -> None:
        """Add a line to the job's events; raises LeaseLost."""
        with self._database.write() as connection:
            lock_root(connection, lease)
            change(connection, held(lease).values(worker=jobs.c.worker))
            add_events(connection, lease.root, [EventDraft(kind=EventKind.LOG, data={"message": message})])

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """Publish what the attempt made and succeed, in one transaction; raises LeaseLost, Cancelled."""
        now = self._database.now()
        with self._database.write() as connection:
            row = change(connection, held(lease).values(ended(JobState.SUCCEEDED, now)))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")  # rolls the transaction back
            published = publish(connection, job_of(row), outcome, now)
            done = {"progress": 1.0, "progress_message": "done"}
            healed = {"error_code": None, "error_message": None}  # an earlier attempt's
            row = change(connection, update(jobs).where(jobs.c.id == lease.job_id).values(published | done | healed))
            add_state(connection, row)
            return job_of(row)

    def fail(self, lease: Lease, error: TidepoolError) -> Job:
        """Charge a failure: back to the queue with back-off, or failed for good; raises LeaseLost."""
        now = self._database.now()
        with self._database.write() as connection:
            lock_root(connection, lease)
            row = change(connection, held(lease).values(failures=jobs.c.failures + 1))
            row = change(connection, held(lease).values(self._after_failure(row, error)))
            if row["state"] == JobState.FAILED and (rejected := reject(connection, job_of(row), error, now)):
                row = change(connection, update(jobs).where(jobs.c.id == lease.job_id).values(rejected))
            add_state(connection, row)
            if row["parent_id"] is not None and row["state"] == JobState.FAILED:
                fail_parent(connection, row)
            return job_of(row)

    def release(self, lease: Lease) -> None:
        """Give the job back with no failure charged, or cancelled if that was asked for; raises LeaseLost."""
        now = self._database.now()
        waiting = {
            "state": JobState.QUEUED,
            "run_at": now,
            "woken_at": now - LEASE,
            "progress_message": "moving to another replica",
        }
        with self._database.write() as connection:
            row = change(connection, held(lease).values(lease_until=None))
            outcome = ended(JobState.CANCELLED, now) if row["cancel_requested"] else waiting
            add_state(connection, change(connection, held(lease).values(outcome)))

    def cancelled(self, lease: Lease) -> None:
        """Say that the attempt stopped because the job was cancelled; raises LeaseLost."""
        with self._database.write() as connection:
            row = change(connection, held(lease).values(ended(JobState.CANCELLED, self._database.now())))
            add_state(connection, row)

    def _after_failure(self, row: RowMapping, error: TidepoolError) -> dict[str, Any]:
        now = self._database.now()
        reason = {"error_code": error.code, "error_message": error.message, "lease_until": None}
        if row["cancel_requested"]:
            return ended(JobState.CANCELLED, now)
        if not error.retryable or row["failures"] >= row["max_attempts"]:
            return ended(JobState.FAILED, now) | reason
        wait = timedelta(seconds=min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (row["failures"] - 1)))
        # woken in the past, so that the reconciler's next pass after `run_at` rings it
        return {"state": JobState.QUEUED, "run_at": now + wait, "woken_at": now - LEASE, **reason}
