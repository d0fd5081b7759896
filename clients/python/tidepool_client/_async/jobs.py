"""Jobs: create, list, follow, wait, cancel, retry."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

from httpx_sse import ServerSentEvent
from pydantic import PrivateAttr

from contract.jobs import EventKind, JobEvent, JobState
from tidepool_client._async.transport import AsyncTransport, NoMoreEvents
from tidepool_client.errors import ClientError, JobUnsuccessful, UnexpectedResponse, Unreachable, WaitTimeout
from tidepool_client.files import FilePath
from tidepool_client.references import path
from tidepool_client.responses import given, parsed
from tidepool_client.views import JobView

POLL_S = 0.3  # between polls of a job whose progress is shown
LONG_POLL_S = 30.0
ENDED = frozenset(state for state in JobState if state.terminal)


class AsyncJob(JobView):
    """A job as it was when the server answered; `refresh` asks again."""

    _jobs: "AsyncJobs" = PrivateAttr()

    def bound_to(self, client_jobs: "AsyncJobs") -> Self:
        """Let the methods of this job use a client."""
        self._jobs = client_jobs
        return self

    async def refresh(self) -> "AsyncJob":
        """Return the job as it is now."""
        return await self._jobs.get(self.id)

    async def wait(
        self, on_progress: "Callable[[AsyncJob], None] | None" = None, timeout_s: float | None = None
    ) -> "AsyncJob":
        """Block until the job has succeeded and return it; see `client.jobs.wait`.

        >>> job = await client.train("pets")
        >>> job = await job.wait(timeout_s=3600)
        >>> job.result["model"]
        'pets@1'
        """
        return await self._jobs.wait(self.id, on_progress, timeout_s)

    async def follow(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield the job's events until it ends; see `client.jobs.events`.

        >>> job = await client.train("pets")
        >>> async for event in job.follow():
        ...     print(event.kind, event.data["state"])
        state queued
        state running
        state succeeded
        """
        async for event in self._jobs.events(self.id, after):
            yield event

    async def cancel(self, *, keep_best: bool = False) -> "AsyncJob":
        """Cancel the job; see `client.jobs.cancel`."""
        return await self._jobs.cancel(self.id, keep_best=keep_best)

    async def retry(self) -> "AsyncJob":
        """Create a copy of a job that did not succeed, and return it."""
        return await self._jobs.retry(self.id)

    async def output(self, file: FilePath) -> Path:
        """Download the file of a batch prediction or an evaluation."""
        return await self._jobs.output(self.id, file)


class AsyncJobs:
    """`client.jobs`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
        self, kind: str, spec: dict[str, Any], *, priority: int | None = None, deadline_s: float | None = None
    ) -> AsyncJob:
        """Create a job of any kind: `train`, `evaluate`, `predict`, `preprocess`, `vet`, `backbone`.

        >>> job = await client.jobs.create("train", {"dataset": "pets@1", "model": "pets"}, priority=5)
        >>> job.priority
        5
        """
        body = {"kind": kind, "spec": spec} | given(priority=priority, deadline_s=deadline_s)
        return self.read(await self._http.create(path("jobs"), json=body))

    async def list(
        self,
        *,
        kind: str | None = None,
        state: JobState | str | None = None,
        model: str | None = None,
        dataset: str | None = None,
        parent: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AsyncJob]:
        """Yield jobs, newest first; `model` and `dataset` are names without a version.

        Jobs that another job has created, such as the trials of a search, are listed by its id as `parent` only.

        >>> [job.state.value async for job in client.jobs.list(kind="train", limit=2)]
        ['cancelled', 'succeeded']
        """
        params = given(kind=kind, state=state, model=model, dataset=dataset, parent=parent)
        async for job in self._http.pages(AsyncJob, path("jobs"), limit, params):
            yield job.bound_to(self)

    async def get(self, job_id: str, *, wait_s: float = 0) -> AsyncJob:
        """Return a job; with `wait_s`, block until it ends, for at most that many seconds (up to 60)."""
        params = {"wait": wait_s} if wait_s else {}
        return self.read(await self._http.call("GET", path("jobs", job_id), params=params))

    async def wait(
        self,
        job_id: str,
        on_progress: Callable[[AsyncJob], None] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncJob:
        """Block until a job has succeeded and return it.

        `on_progress` gets the job several times a second. Raises JobUnsuccessful if the job ends in another state, and
        WaitTimeout after `timeout_s`; the job continues then.
        """
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            remaining = LONG_POLL_S if ends is None else max(0.0, min(LONG_POLL_S, ends - time.monotonic()))
            job = await self.get(job_id, wait_s=0 if on_progress else remaining)
            if on_progress:
                on_progress(job)
            if job.state is JobState.SUCCEEDED:
                return job
            if job.state.terminal:
                raise JobUnsuccessful(job)
            if ends is not None and time.monotonic() >= ends:
                raise WaitTimeout(f"{job.kind} job {job.id} is still {job.state} after {timeout_s:g} s; it continues")
            if on_progress:
                await asyncio.sleep(POLL_S)

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield a job's events after event number `after` until the job ends: states, progress, metrics, log.

        A stream that breaks off, or ends before the job, resumes after the last event received.
        """
        attempt = 0
        while True:
            try:
                async for message in self._http.events(path("jobs", job_id, "events"), after):
                    # a keep-alive comment arrives without data; a newer server may have other kinds of events
                    if not message.data or message.event not in set(EventKind):
                        continue
                    event = _event(message)
                    after, attempt = event.id, 0
                    yield event
                    if event.kind is EventKind.STATE and event.data.get("state") in ENDED:
                        return
                raise Unreachable(f"the events of job {job_id} ended before the job")
            except NoMoreEvents:
                return
            except ClientError as error:
                await self._http.pause(error, attempt)
                attempt += 1

    async def cancel(self, job_id: str, *, keep_best: bool = False) -> AsyncJob:
        """Cancel a job; a running job stops within seconds.

        With `keep_best`, a training that has finished an epoch ends as succeeded, with its best model so far.

        >>> job = await client.train("pets")
        >>> job = await client.jobs.get(job.id)
        >>> job.state.value
        'succeeded'
        >>> await client.jobs.cancel(job.id)
        Traceback (most recent call last):
        tidepool_client.errors.Conflict: ...
        """
        return self.read(await self._http.call("POST", path("jobs", job_id, "cancel"), json={"keep_best": keep_best}))

    async def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with its output and events; its version, if it made one, must be gone."""
        await self._http.delete(path("jobs", job_id))

    async def delete_output(self, job_id: str) -> None:
        """Delete the file of a batch prediction or an evaluation; the job keeps its result."""
        await self._http.delete(path("jobs", job_id, "output"))

    async def retry(self, job_id: str) -> AsyncJob:
        """Create a copy of a job that did not succeed, once, and return it."""
        return self.read(await self._http.create(path("jobs", job_id, "retry")))

    async def output(self, job_id: str, file: FilePath) -> Path:
        """Download the file of a batch prediction or an evaluation: a row for each image."""
        return await self._http.download(path("jobs", job_id, "output"), file)

    def read(self, response: Any) -> AsyncJob:
        """Return the job of a response."""
        return parsed(AsyncJob, response).bound_to(self)


def _event(message: ServerSentEvent) -> JobEvent:
    try:
        fields = {"id": int(message.id), "kind": message.event, **message.json()}
    except (ValueError, TypeError):
        raise UnexpectedResponse("an event of the job is not a JSON object with a number") from None
    return parsed(JobEvent, fields)
