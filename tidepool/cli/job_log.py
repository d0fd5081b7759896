"""The events of a job as lines."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import typer

from contract.jobs import EventKind, Job, JobEvent, JobState
from tidepool.cli.exits import ExitCode, worth_a_retry
from tidepool.cli.following import coming_back
from tidepool.cli.output import note, print_json_line, say

if TYPE_CHECKING:
    from tidepool_client import Client

SETTLE_S = 1.5  # for the first events to arrive
BURST_S = 0.05  # between two events that are sent together; a running job adds some only every 0.2 s

Item = TypeVar("Item")


def print_log(client: "Client", job: Job, *, following: bool, as_json: bool) -> None:
    """Print the events so far, or until the job ends; exits with code 4 if it was followed and did not succeed."""
    events: Iterable[JobEvent] = client.jobs.events(job.id)
    if not following and not job.state.terminal:
        events = until_quiet(events, SETTLE_S)
    with coming_back(job):
        for event in events:
            if as_json:
                print_json_line(event)
            else:
                say(f"{event.at.astimezone():%H:%M:%S}  {_text(event)}")
    if not following:
        return
    ended = client.jobs.get(job.id)
    if ended.state is JobState.SUCCEEDED:
        note(*result_lines(ended))
        return
    if worth_a_retry(ended):
        note(f"Run it again: tidepool jobs retry {ended.id}")
    raise typer.Exit(ExitCode.JOB)


def result_lines(job: Job) -> list[str]:
    """Return the command that shows what a job made, if it made something."""
    made = next((noun for noun in ("dataset", "model") if job.result and noun in job.result), None)
    return [f"Its result: tidepool {made}s show {job.result[made]}"] if job.result and made else []


def until_quiet(items: Iterable[Item], seconds: float) -> Iterator[Item]:
    """Yield items for some seconds, and after that until they no longer arrive in quick succession."""
    received: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()

    def receive() -> None:
        try:
            for item in items:
                received.put(item)
            received.put(None)
        except BaseException as error:  # noqa: BLE001  raised in the thread that reads
            received.put(error)

    threading.Thread(target=receive, daemon=True).start()
    settled = time.monotonic() + seconds
    while True:
        try:
            item = received.get(timeout=max(BURST_S, settled - time.monotonic()))
        except queue.Empty:
            return
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def _text(event: JobEvent) -> str:
    data = event.data
    match event.kind:
        case EventKind.STATE:
            error = (data.get("error") or {}).get("message")
            attempt = f", attempt {data['attempt']}" if data.get("attempt", 0) > 1 else ""
            return f"{data.get('state')}{attempt}{f': {error}' if error else ''}"
        case EventKind.PROGRESS:
            return f"{data.get('fraction', 0):4.0%}  {data.get('message', '')}"
        case EventKind.METRICS:
            return "  ".join(f"{name} {_number(value)}" for name, value in data.items() if value is not None)
    return str(data.get("message", ""))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
