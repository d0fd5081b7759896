"""Jobs keep their guarantees under any sequence of calls by clients, workers, the clock and the reconciler."""

from collections.abc import Callable

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT
from contract.errors import BadArchive, Corrupt, TidepoolError, WorkerLost
from contract.jobs import EventKind, JobKind, JobState, Progress
from contract.kinds.preprocess import PreprocessRequest
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.references import Owner
from services.storage.sweep.reconciler import Reconciler
from tests.examples import DATASET_MANIFEST, ONNX_FILE, PREPROCESS_SPEC
from tests.support.clock import FakeClock
from tests.unit.storage.jobs.job_model import ModelJob, Outcome


def outcome_of(call: Callable[[], object]) -> Outcome:
    try:
        call()
    except TidepoolError as error:
        return type(error)
    return None


class JobMachine(RuleBasedStateMachine):
    """Every rule makes the same call on the tables and on the model."""

    jobs_made = Bundle("jobs_made")
    claimed_leases = Bundle("claimed_leases")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.database = self.opened()
        self.jobs, self.leases = Jobs(self.database, DEFAULT_PROJECT), Leases(self.database)
        self.reconciler = Reconciler(self.database)
        self.model: dict[str, ModelJob] = {}
        self.claimed: set[Lease] = set()
        self.seen: dict[str, tuple[JobState, int]] = {}

    def opened(self) -> Database:
        """An empty database."""
        return Database.in_memory(self.clock)

    def teardown(self) -> None:
        """Every accepted job ends if it is left alone."""
        while any(not job.state.terminal for job in self.model.values()):
            self.tick(301)
            self.repair()
            self._claim()
            for lease in self.claimed:
                self.finish(lease)
                self.stop(lease)
            self.jobs_keep_their_guarantees()
        self.each_end_has_one_event()
        self.database.engine.dispose()

    def each_end_has_one_event(self) -> None:
        for job in self.model.values():
            events = Events(self.database, DEFAULT_PROJECT).after(job.id, 0, limit=10_000)
            numbers = [event.id for event in events]
            assert numbers == sorted(set(numbers))
            states = [JobState(event.data["state"]) for event in events if event.kind == EventKind.STATE]
            assert states[0] == JobState.QUEUED
            assert [state for state in states if state.terminal] == states[-1:] == [job.state]

    @precondition(lambda self: len(self.model) < 3)  # few jobs, so that each takes many steps
    @rule(target=jobs_made, priority=st.integers(-1, 1), deadline_s=st.sampled_from([None, None, 30.0, 100.0]))
    def create(self, priority: int, deadline_s: float | None) -> str:
        request = PreprocessRequest(
            kind=JobKind.PREPROCESS, spec=PREPROCESS_SPEC, priority=priority, deadline_s=deadline_s
        )
        job = self.jobs.create(request)
        self.model[job.id] = ModelJob(job.id, priority, self.clock.now, job.deadline_at)
        return job.id

    @rule(target=claimed_leases)
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
        assert claim.lease not in self.claimed  # else two attempts could change one job
        self.claimed.add(claim.lease)
        return claim.lease

    @rule()
    def lose_a_worker(self) -> None:
        self._claim()
        self.clock.tick(LEASE.total_seconds() + 1)

    @rule(lease=claimed_leases)
    def renew(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].renew(lease.fence, self.clock.now)
        assert outcome_of(lambda: self.leases.renew(lease, Progress(fraction=0.5))) == expected

    @rule(lease=claimed_leases, key=st.sampled_from(["a", "b"]))
    def save_checkpoint(self, lease: Lease, key: str) -> None:
        expected = self.model[lease.job_id].save_checkpoint(lease.fence, key)
        checkpoint = ONNX_FILE.model_copy(update={"key": key})
        assert outcome_of(lambda: self.leases.save_checkpoint(lease, checkpoint)) == expected

    @rule(lease=claimed_leases)
    def finish(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].finish(lease.fence)
        assert outcome_of(lambda: self.leases.finish(lease, DATASET_MANIFEST)) == expected

    @rule(
        lease=claimed_leases,
        error=st.sampled_from([Corrupt("a bit flipped"), WorkerLost("gone"), BadArchive("no zip")]),
    )
    def fail(self, lease: Lease, error: TidepoolError) -> None:
        expected = self.model[lease.job_id].fail(lease.fence, error.retryable, self.clock.now)
        assert outcome_of(lambda: self.leases.fail(lease, error)) == expected

    @rule(lease=claimed_leases)
    def release(self, lease: Lease) -> None:
        expected = self.model[lease.job_id].release(lease.fence, self.clock.now)
        assert outcome_of(lambda: self.leases.release(lease)) == expected

    @rule(lease=consumes(claimed_leases))
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
    def jobs_keep_their_guarantees(self) -> None:
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

    @invariant()
    def exactly_the_checkpoints_of_live_jobs_are_registered(self) -> None:
        table = tables.object_references.c
        query = select(table.owner_id, table.key).where(table.owner_kind == Owner.JOB_CHECKPOINT)
        with self.database.read() as connection:
            registered = {tuple(row) for row in connection.execute(query)}
        jobs = [job for job in self.model.values() if not job.state.terminal]
        assert registered == {(job.id, job.checkpoint) for job in jobs if job.checkpoint is not None}


TestJobs = JobMachine.TestCase
TestJobs.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],  # explaining a failure would take minutes
)
