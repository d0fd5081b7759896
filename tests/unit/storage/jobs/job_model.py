"""A model of jobs in plain values, with which the tables are compared."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.errors import Cancelled, Conflict, LeaseLost, TidepoolError
from contract.jobs import JobState
from services.storage.jobs.jobs import MAX_ATTEMPTS
from services.storage.jobs.leases import BACKOFF_S
from services.storage.jobs.rows import LEASE
from services.storage.sweep.reconciler import CANCEL_WITHIN

Outcome = type[TidepoolError] | None


@dataclass
class ModelJob:
    """One job; every method returns the error that its counterpart must raise."""

    id: str
    priority: int
    run_at: datetime
    deadline: datetime | None
    state: JobState = JobState.QUEUED
    fence: int = 0
    failures: int = 0
    lease_until: datetime | None = None
    cancel_requested: bool = False
    cancel_at: datetime | None = None
    published: int = 0
    checkpoint: str | None = None

    def abandoned(self, now: datetime) -> bool:
        return self.state == JobState.RUNNING and self.lease_until is not None and self.lease_until < now

    def due(self, now: datetime) -> bool:
        if self.cancel_requested or (self.deadline is not None and self.deadline <= now):
            return False
        waiting = self.state == JobState.QUEUED and self.run_at <= now
        return waiting or (self.abandoned(now) and self.failures + 1 < MAX_ATTEMPTS)

    def claim(self, now: datetime) -> None:
        self.failures += self.state == JobState.RUNNING
        self.state, self.fence, self.lease_until = JobState.RUNNING, self.fence + 1, now + LEASE

    def cancel(self, now: datetime) -> Outcome:
        if self.state == JobState.QUEUED:
            self.state = JobState.CANCELLED
        if self.state == JobState.RUNNING:
            self.cancel_requested, self.cancel_at = True, self.cancel_at or now
        return Conflict if self.state.terminal and self.state != JobState.CANCELLED else None

    def renew(self, fence: int, now: datetime) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        if self.cancel_requested:
            return Cancelled
        self.lease_until = now + LEASE
        return None

    def save_checkpoint(self, fence: int, key: str) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        self.checkpoint = key
        return None

    def finish(self, fence: int) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        if self.cancel_requested:
            return Cancelled
        self.state, self.published = JobState.SUCCEEDED, self.published + 1
        return None

    def fail(self, fence: int, retryable: bool, now: datetime) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        self.failures += 1
        if self.cancel_requested:
            self.state = JobState.CANCELLED
        elif not retryable or self.failures == MAX_ATTEMPTS:
            self.state = JobState.FAILED
        else:
            self.state = JobState.QUEUED
            self.run_at = now + timedelta(seconds=BACKOFF_S * 2 ** (self.failures - 1))
        return None

    def release(self, fence: int, now: datetime) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        self.state = JobState.CANCELLED if self.cancel_requested else JobState.QUEUED
        self.run_at = now
        return None

    def stop(self, fence: int) -> Outcome:
        if not self._held(fence):
            return LeaseLost
        self.state = JobState.CANCELLED
        return None

    def repair(self, now: datetime) -> None:
        abandoned = self.abandoned(now)
        overdue = self.cancel_at is not None and self.cancel_at < now - CANCEL_WITHIN
        if self.state == JobState.RUNNING and ((abandoned and self.cancel_requested) or overdue):
            self.state, self.fence = JobState.CANCELLED, self.fence + 1
        elif not self.state.terminal and self.deadline is not None and self.deadline < now:
            self.state, self.fence = JobState.EXPIRED, self.fence + 1
        elif abandoned:
            self.run_at = now + timedelta(seconds=BACKOFF_S if self.failures else 0)
            self.failures += 1
            self.state = JobState.FAILED if self.failures == MAX_ATTEMPTS else JobState.QUEUED

    def _held(self, fence: int) -> bool:
        return self.state == JobState.RUNNING and self.fence == fence
