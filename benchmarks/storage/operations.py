"""What is measured: what clients, replicas, gateways, the autoscaler and the storage process do all the time."""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.pools.pools import Pools
from services.storage.screens.jobs import JobQuery, JobScreens
from services.storage.screens.live_jobs import LiveJobs
from services.storage.screens.shell import ShellReader
from services.storage.sweep.reconciler import Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST

PAGE = 50
Operation = Callable[[], object]
LIMITED = 10  # rounds at most of operations that change many rows
SLOW = ("relay", "repair")


@dataclass(frozen=True)
class Timing:
    """The times of an operation in milliseconds; `cpu` is the CPU time that its server has used for one."""

    median: float
    p99: float
    cpu: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float], cpu_s: float = 0.0) -> "Timing":
        ordered = sorted(seconds)
        last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        median, cpu = statistics.median(ordered), cpu_s / len(ordered)
        return cls(*(round(1000 * value, 3) for value in (median, last, cpu)), len(ordered))


def operations(database: Database) -> Mapping[str, Operation]:
    """Return the operations by name, in the order of the report."""
    jobs, leases, events = Jobs(database, DEFAULT_PROJECT), Leases(database), Events(database, DEFAULT_PROJECT)
    screens, reconciler, numbers = JobScreens(database, DEFAULT_PROJECT), Reconciler(database), itertools.count()
    known = [job.id for job in jobs.list(JobFilter(), PAGE).items]
    running = leases.claim("evaluate", "benchmark")
    assert running is not None

    def claim() -> None:
        assert leases.claim(("index", "preprocess"), f"worker-{next(numbers)}") is not None

    def give_back() -> None:
        claim = leases.claim("train", f"worker-{next(numbers)}")
        assert claim is not None
        leases.release(claim.lease)

    half = Progress(fraction=0.5, message="epoch 1 of 2")
    return {
        "create a job": lambda: jobs.create(TRAIN_REQUEST),
        "create a job, at most 1,000,000 queued": lambda: Jobs(database, DEFAULT_PROJECT, 10**6).create(
            PREPROCESS_REQUEST
        ),
        "claim": claim,
        "claim, and give back": give_back,
        "renew a lease": lambda: leases.renew(running.lease),
        "renew a lease, with progress": lambda: leases.renew(running.lease, half),
        "count the queues": Pools(database).queues,
        "oldest job of each kind": reconciler.oldest_queued_seconds,
        "list: all": lambda: jobs.list(JobFilter(), PAGE),
        "list: a page in the middle": lambda: jobs.list(JobFilter(), PAGE, known[-1]),
        "list: of a model": lambda: jobs.list(JobFilter(model="model-3"), PAGE),
        "list: of a data set": lambda: jobs.list(JobFilter(dataset="dataset-3"), PAGE),
        "list: of a kind": lambda: jobs.list(JobFilter(kind=JobKind("train")), PAGE),
        "list: of a state": lambda: jobs.list(JobFilter(state=JobState.FAILED), PAGE),
        "list: of a kind and state": lambda: jobs.list(JobFilter(kind=JobKind("train"), state=JobState.FAILED), PAGE),
        "list: of a model and state": lambda: jobs.list(JobFilter(model="model-3", state=JobState.FAILED), PAGE),
        "console: live jobs": LiveJobs(database, DEFAULT_PROJECT).list,
        "console: page of live jobs": lambda: screens.page(JobQuery(state="live"), PAGE),
        "console: header counts": ShellReader(database, DEFAULT_PROJECT).counts,
        "events of a job": lambda: events.after(known[next(numbers) % len(known)], 0),
        "last events of 50 jobs": lambda: events.latest(known),
        "relay 200 wake-up messages": lambda: reconciler.relay(lambda *_: None),
        "repair pass": reconciler.repair,
    }


def measure(operation: Operation, rounds: int, cpu: Callable[[], float]) -> Timing:
    """Call an operation once to prepare its statements, then `rounds` times; `cpu` returns its server's CPU time."""
    operation()
    seconds, used = [], cpu()
    for _ in range(rounds):
        start = time.perf_counter()
        operation()
        seconds.append(time.perf_counter() - start)
    return Timing.of(seconds, cpu() - used)
