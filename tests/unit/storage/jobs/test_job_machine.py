"""Whatever clients, workers, the clock and the reconciler do in whatever order, jobs keep their promises."""

from collections.abc import Callable

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from sqlalchemy import select

from contract.errors import BadArchive, Corrupt, TidepoolError, WorkerLost
from contract.events import EventKind
from contract.jobs import JobKind, JobState, Progress
from contract.kinds.preprocess import PreprocessRequest
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.sweep.reconciler import Reconciler
from tests.clock import FakeClock
from tests.examples import DATASET_MANIFEST, PREPROCESS_SPEC
from tests.unit.storage.jobs.job_model import ModelJob, Outcome


def outcome_of(call: Callable[[], object]) -> Outcome:
    try:
        call()
    except TidepoolError as error:
        return type(error)
    return None


class JobMachine(RuleBasedStateMachine):
    """The tables on one side, the model on the other; every rule does the same to both."""

    jobs_made = Bundle("jobs_made")
    leases_given = Bundle("leases_given")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.database = self.opened()
        self.jobs, self.leases = Jobs(self.database), Leases(self.database)
        self.reconciler = Reconciler(self.database)
        self.model: dict[str, ModelJob] = {}
        self.given: set[Lease] = set()
        self.seen: dict[str, tuple[JobState, int]] = {}

    def opened(self) -> Database:
        """An empty database."""
        return Database.in_memory(self.clock)

    def teardown(self) -> None:
        """Accepted means kept: left to themselves, all jobs end."""
        while any(not job.state.terminal for job in self.model.values()):
            self.tick(301)
            self.repair()
            self._claim()
            for lease in self.given:
                self.finish(lease)
                self.stop(lease)
            self.jobs_keep_their_promises()
        self.events_tell_each_end_once()
        self.database.engine.dispose()

    def events_tell_each_end_once(self) -> None:
        for job in self.model.values():
            found = Events(self.database).after(job.id, 0, limit=10_000)
            numbers = [event.id for event in found]
            assert numbers == sorted(set(numbers))
            states = [JobState(event.data["state"]) for event in found if event.kind == EventKind.STATE]
            assert states[0] == JobState.QUEUED
            assert [state for state in states if state.terminal] == states[-1:] == [job.state]

    @precondition(lambda self: len(self.model) < 3)  # few, so that one job lives through many steps
    @rule(target=jobs_made, priority=st.integers(-1, 1), deadline_s=st.sampled_from([None, None, 30.0, 100.0]))
    def create(self, priority: int, deadline_s: float | None) -> str:
        request = PreprocessRequest(
            kind=JobKind.PREPROCESS, spec=PREPROCESS_SPEC, priority=priority, deadline_s=deadline_s
        )
        job = self.jobs.create(request)
        self.model[job.id] = ModelJob(job.id, priority, self.clock.now, job.deadline_at)
        return job.id

    @rule(target=leases_given)
    def claim(self) -> object:
        lease = self._claim()
        return multiple() if lease is None else lease

    def _claim(self) -> Lease | None:
        due = [job for job in self.model.values() if job.due(self.clock.now)]
        claim = self.leases.claim(JobKind.PREPROCESS, "worker")
        assert (claim is not None) == bool(due)
        if claim is None:
            return None
        best = min(due, key=lambda job: (-job.priority, job.id))
        best.claim(self.clock.now)
        assert claim.lease == Lease(best.id, best.fence)
        assert claim.lease not in self.given  # so no two attempts may change one job
        self.given.add(claim.lease)
        return claim.lease

    @rule()
    def lose_a_worker(self) -> None:
        self._claim()
        self.clock.tick(LEASE.total_seconds() + 1)

    @rule(lease=leases_given)
    def renew(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].renew(lease.fence, self.clock.now)
        assert outcome_of(lambda: self.leases.renew(lease, Progress(fraction=0.5))) == expected

    @rule(lease=leases_given)
    def finish(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].finish(lease.fence)
        assert outcome_of(lambda: self.leases.finish(lease, DATASET_MANIFEST)) == expected

    @rule(
        lease=leases_given, error=st.sampled_from([Corrupt("a bit flipped"), WorkerLost("gone"), BadArchive("no zip")])
    )
    def fail(self, lease: Lease, error: TidepoolError) -> None:
        expected = self.model[lease.job_id].fail(lease.fence, error.retryable, self.clock.now)
        assert outcome_of(lambda: self.leases.fail(lease, error)) == expected

    @rule(lease=leases_given)
    def release(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].release(lease.fence, self.clock.now)
        assert outcome_of(lambda: self.leases.release(lease)) == expected

    @rule(lease=consumes(leases_given))
    def stop(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].stop(lease.fence)
        assert outcome_of(lambda: self.leases.cancelled(lease)) == expected

    @rule(job_id=jobs_made)
    def cancel(self, job_id: str) -> None:
        assert outcome_of(lambda: self.jobs.cancel(job_id)) == self.model[job_id].cancel(self.clock.now)

    @rule(seconds=st.sampled_from([1, 5, 30, 61]))
    def tick(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @rule()
    def repair(self) -> None:
        self.reconciler.repair()
        for job in self.model.values():
            job.repair(self.clock.now)

    @invariant()
    def jobs_keep_their_promises(self) -> None:
        with self.database.read() as connection:
            rows = connection.execute(select(tables.jobs)).all()
            published = list(connection.execute(select(tables.dataset_versions.c.job_id)).scalars())
        for row in rows:
            job = self.model[row.id]
            assert (row.state, row.fence, row.failures) == (job.state, job.fence, job.failures)
            state, fence = self.seen.get(row.id, (JobState.QUEUED, 0))
            assert not state.terminal or row.state == state
            assert row.fence >= fence
            assert row.attempt <= row.max_attempts
            assert published.count(row.id) == job.published == (row.state == JobState.SUCCEEDED)
            self.seen[row.id] = JobState(row.state), row.fence


TestJobs = JobMachine.TestCase
TestJobs.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],  # explaining a failure would take minutes
)
