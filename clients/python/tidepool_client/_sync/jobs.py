"""Jobs: create, list, follow, wait, cancel, retry."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from httpx_sse import ServerSentEvent
from pydantic import PrivateAttr

from contract.jobs import EventKind, JobEvent, JobState
from tidepool_client._sync.transport import NoMoreEvents, Transport
from tidepool_client.errors import ClientError, JobUnsuccessful, UnexpectedResponse, Unreachable, WaitTimeout
from tidepool_client.files import FilePath
from tidepool_client.references import path
from tidepool_client.responses import given, parsed
from tidepool_client.views import JobView

POLL_S = 0.3  # between polls of a job whose progress is shown
LONG_POLL_S = 30.0
ENDED = frozenset(state for state in JobState if state.terminal)


class Job(JobView):
    """A job as it was when the server answered; `refresh` asks again."""

    _jobs: "Jobs" = PrivateAttr()

    def bound_to(self, client_jobs: "Jobs") -> Self:
        """Let the methods of this job use a client."""
        self._jobs = client_jobs
        return self

    def refresh(self) -> "Job":
        """Return the job as it is now."""
        return self._jobs.get(self.id)

    def wait(self, on_progress: "Callable[[Job], None] | None" = None, timeout_s: float | None = None) -> "Job":
        """Block until the job has succeeded and return it; see `client.jobs.wait`.

        >>> job = client.train("pets")
        >>> job = job.wait(timeout_s=3600)
        >>> job.result["model"]
        'pets@1'
        """
        return self._jobs.wait(self.id, on_progress, timeout_s)

    def follow(self, after: int = 0) -> Iterator[JobEvent]:
        """Yield the job's events until it ends; see `client.jobs.events`.

        >>> job = client.train("pets")
        >>> for event in job.follow():
        ...     print(event.kind, event.data["state"])
        state queued
        state running
        state succeeded
        """
        for event in self._jobs.events(self.id, after):
            yield event

    def cancel(self, *, keep_best: bool = False) -> "Job":
        """Cancel the job; see `client.jobs.cancel`."""
        return self._jobs.cancel(self.id, keep_best=keep_best)

    def retry(self) -> "Job":
        """Create a copy of a job that did not succeed, and return it."""
        return self._jobs.retry(self.id)

    def output(self, file: FilePath) -> Path:
        """Download the file of a batch prediction or an evaluation."""
        return self._jobs.output(self.id, file)


class Jobs:
    """`client.jobs`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(
        self, kind: str, spec: dict[str, Any], *, priority: int | None = None, deadline_s: float | None = None
    ) -> Job:
        """Create a job of any kind: `train`, `evaluate`, `predict`, `preprocess`, `vet`, `backbone`.

        >>> job = client.jobs.create("train", {"dataset": "pets@1", "model": "pets"}, priority=5)
        >>> job.priority
        5
        """
        body = {"kind": kind, "spec": spec} | given(priority=priority, deadline_s=deadline_s)
        return self.read(self._http.create(path("jobs"), json=body))

    def list(
        self,
        *,
        kind: str | None = None,
        state: JobState | str | None = None,
        model: str | None = None,
        dataset: str | None = None,
        parent: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Yield jobs, newest first; `model` and `dataset` are names without a version.

        Jobs that another job has created, such as the trials of a search, are listed by its id as `parent` only.

        >>> [job.state.value for job in client.jobs.list(kind="train", limit=2)]
        ['cancelled', 'succeeded']
        """
        params = given(kind=kind, state=state, model=model, dataset=dataset, parent=parent)
        for job in self._http.pages(Job, path("jobs"), limit, params):
            yield job.bound_to(self)

    def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        """Return a job; with `wait_s`, block until it ends, for at most that many seconds (up to 60)."""
        params = {"wait": wait_s} if wait_s else {}
        return self.read(self._http.call("GET", path("jobs", job_id), params=params))

    def wait(
        self,
        job_id: str,
        on_progress: Callable[[Job], None] | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Block until a job has succeeded and return it.

        `on_progress` gets the job several times a second. Raises JobUnsuccessful if the job ends in another state, and
        WaitTimeout after `timeout_s`; the job continues then.
        """
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            remaining = LONG_POLL_S if ends is None else max(0.0, min(LONG_POLL_S, ends - time.monotonic()))
            job = self.get(job_id, wait_s=0 if on_progress else remaining)
            if on_progress:
                on_progress(job)
            if job.state is JobState.SUCCEEDED:
                return job
            if job.state.terminal:
                raise JobUnsuccessful(job)
            if ends is not None and time.monotonic() >= ends:
                raise WaitTimeout(f"{job.kind} job {job.id} is still {job.state} after {timeout_s:g} s; it continues")
            if on_progress:
                time.sleep(POLL_S)

    def events(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Yield a job's events after event number `after` until the job ends: states, progress, metrics, log.

        A stream that breaks off, or ends before the job, resumes after the last event received.
        """
        attempt = 0
        while True:
            try:
                for message in self._http.events(path("jobs", job_id, "events"), after):
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
                self._http.pause(error, attempt)
                attempt += 1

    def cancel(self, job_id: str, *, keep_best: bool = False) -> Job:
        """Cancel a job; a running job stops within seconds.

        With `keep_best`, a training that has finished an epoch ends as succeeded, with its best model so far.

        >>> job = client.train("pets")
        >>> job = client.jobs.get(job.id)
        >>> job.state.value
        'succeeded'
        >>> client.jobs.cancel(job.id)
        Traceback (most recent call last):
        tidepool_client.errors.Conflict: ...
        """
        return self.read(self._http.call("POST", path("jobs", job_id, "cancel"), json={"keep_best": keep_best}))

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with its output and events; its version, if it made one, must be gone."""
        self._http.delete(path("jobs", job_id))

    def delete_output(self, job_id: str) -> None:
        """Delete the file of a batch prediction or an evaluation; the job keeps its result."""
        self._http.delete(path("jobs", job_id, "output"))

    def retry(self, job_id: str) -> Job:
        """Create a copy of a job that did not succeed, once, and return it."""
        return self.read(self._http.create(path("jobs", job_id, "retry")))

    def output(self, job_id: str, file: FilePath) -> Path:
        """Download the file of a batch prediction or an evaluation: a row for each image."""
        return self._http.download(path("jobs", job_id, "output"), file)

    def read(self, response: Any) -> Job:
        """Return the job of a response."""
        return parsed(Job, response).bound_to(self)


def _event(message: ServerSentEvent) -> JobEvent:
    try:
        fields = {"id": int(message.id), "kind": message.event, **message.json()}
    except (ValueError, TypeError):
        raise UnexpectedResponse("an event of the job is not a JSON object with a number") from None
    return parsed(JobEvent, fields)
