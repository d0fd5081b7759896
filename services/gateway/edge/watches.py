"""Follows jobs for the requests that wait for them: one query a tick for all jobs of a project that are followed."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from contract.errors import TidepoolError, TooManyRequests
from contract.jobs import Job, JobEvent
from contract.tracing import active
from services.storage.stores import ProjectStores

log = structlog.get_logger()

TICK_S = 0.25
THREADS = 4  # for the reads; those of the endpoints stay free
PAGE = 200  # events of one read
KEPT = 256  # events of a job kept for those who follow it

T = TypeVar("T")


class Watches:
    """The jobs that requests of this gateway follow, and how many such requests each key has."""

    def __init__(self, max_streams: int) -> None:
        """One key may have at most `max_streams` requests that follow a job."""
        self._max_streams = max_streams
        self._streams: Counter[str] = Counter()
        self._watched: dict[tuple[str, str], Watched] = {}
        self._pollers: dict[str, asyncio.Task[None]] = {}
        self._threads = CapacityLimiter(THREADS)

    @contextmanager
    def stream(self, key_id: str) -> Iterator[None]:
        """Count a request during the block; raises TooManyRequests if the key has too many."""
        if self._streams[key_id] >= self._max_streams:
            raise TooManyRequests(
                f"this key follows jobs in {self._max_streams} requests already, event streams and ?wait= together"
            )
        self._streams[key_id] += 1
        try:
            yield
        finally:
            self._streams[key_id] -= 1
            if not self._streams[key_id]:
                del self._streams[key_id]

    @property
    def streams(self) -> int:
        """The number of requests that follow a job now."""
        return sum(self._streams.values())

    @asynccontextmanager
    async def follow(self, stores: ProjectStores, job_id: str) -> AsyncIterator["Watched"]:
        """Follow a job during the block; raises NotFound."""
        key = (stores.project, job_id)
        watched = self._watched.setdefault(key, Watched(self, stores, job_id))
        watched.followers += 1
        try:
            await watched.loaded()
            if stores.project not in self._pollers:
                with active(None):  # it outlives the request, and is not part of its trace
                    self._pollers[stores.project] = asyncio.create_task(self._poll(stores))
            yield watched
        finally:
            watched.followers -= 1
            if not watched.followers and self._watched.get(key) is watched:
                del self._watched[key]

    async def read(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that reads the database, in a thread."""
        return await to_thread.run_sync(function, *arguments, limiter=self._threads)

    def _followed(self, project: str) -> dict[str, "Watched"]:
        return {job_id: watched for (owner, job_id), watched in self._watched.items() if owner == project}

    async def _poll(self, stores: ProjectStores) -> None:
        try:
            while jobs := self._followed(stores.project):
                try:
                    latest = await self.read(stores.events.latest, tuple(jobs))
                    for job_id, watched in jobs.items():
                        await watched.update(latest.get(job_id))
                except TidepoolError as error:  # poll on through an outage
                    log.warning("jobs cannot be followed", code=error.code)
                except Exception as error:
                    log.error("jobs cannot be followed", exc_info=error)
                for watched in jobs.values():
                    watched.wake()
                await asyncio.sleep(TICK_S)
        finally:
            del self._pollers[stores.project]


class Watched:
    """A job that is followed: `job` and `last`, the number of its last event, are at most a tick old.

    `ended` is true if the job has ended, or is deleted.
    """

    job: Job

    def __init__(self, watches: Watches, stores: ProjectStores, job_id: str) -> None:
        self.followers = 0
        self.ended = False
        self.last = 0
        self._watches = watches
        self._stores = stores
        self._job_id = job_id
        self._loading: asyncio.Task[None] | None = None
        self._recent: deque[JobEvent] = deque()
        self._since = 0  # `_recent` has all events after this number
        self._tick = asyncio.Event()

    async def loaded(self) -> None:
        """Wait for the first read, which concurrent followers share; raises NotFound."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def tick(self) -> None:
        """Wait for the next reading."""
        await self._tick.wait()

    def wake(self) -> None:
        """Wake those who wait for a reading."""
        self._tick.set()
        self._tick = asyncio.Event()

    async def events_after(self, number: int) -> tuple[JobEvent, ...]:
        """Return events after a number, up to a page of them, all if they are recent."""
        if number >= self.last:
            return ()
        if number >= self._since:
            return tuple(event for event in self._recent if event.id > number)
        return await self._watches.read(self._stores.events.after, self._job_id, number, PAGE)

    async def update(self, latest: int | None) -> None:
        """Read the job again if its last event has another number; None means that it is deleted."""
        if self._loading is None or not self._loading.done():
            return
        if latest is None:
            self.ended = True
        elif latest > self.last:
            last = await self._keep_after(self.last)
            job = await self._watches.read(self._stores.jobs.get, self._job_id)
            if job.state.terminal:  # its last events may be later than those read
                last = await self._keep_after(last)
            self.job, self.last, self.ended = job, max(latest, last), job.state.terminal

    async def _keep_after(self, last: int) -> int:
        """Read the events after a number; return the number of the last one."""
        while page := await self._watches.read(self._stores.events.after, self._job_id, last, PAGE):
            self._recent.extend(page)
            while len(self._recent) > KEPT:
                self._since = self._recent.popleft().id
            last = page[-1].id
            if len(page) < PAGE:
                break
        return last

    async def _load(self) -> None:
        read, job_id = self._watches.read, self._job_id
        numbers = await read(self._stores.events.latest, (job_id,))
        self.job = await read(self._stores.jobs.get, job_id)
        self.ended = self.job.state.terminal
        if self.ended:  # its last event may be later than the first read
            numbers = await read(self._stores.events.latest, (job_id,))
        self.last = self._since = numbers.get(job_id, 0)
