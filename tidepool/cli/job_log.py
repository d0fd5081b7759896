"""The events of a job as lines."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import typer

from contract.jobs import EventKind, Job, JobEvent, JobState
from tidepool.cli.exits import ExitCode
from tidepool.cli.following import coming_back
from tidepool.cli.output import note, print_json_line, say

if TYPE_CHECKING:
    from tidepool_client import Client

QUIET_S = 1.5  # without an event, after which the log so far is complete

Item = TypeVar("Item")


def print_log(client: "Client", job: Job, *, following: bool, as_json: bool) -> None:
    """Print the events so far, or until the job ends; exits with code 4 if it was followed and did not succeed."""
    events: Iterable[JobEvent] = client.jobs.events(job.id)
    if not following and not job.state.terminal:
        events = until_quiet(events, QUIET_S)
    with coming_back(job):
        for event in events:
            if as_json:
                print_json_line(event)
            else:
                say(f"{event.at.astimezone():%H:%M:%S}  {_text(event)}")
    if following and (ended := client.jobs.get(job.id)).state is not JobState.SUCCEEDED:
        note(f"Run it again: tidepool jobs retry {ended.id}")
        raise typer.Exit(ExitCode.JOB)


def until_quiet(items: Iterable[Item], seconds: float) -> Iterator[Item]:
    """Yield items until there is no new one for some seconds."""
    received: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()

    def receive() -> None:
        try:
            for item in items:
                received.put(item)
            received.put(None)
        except BaseException as error:  # noqa: BLE001  raised in the thread that reads
            received.put(error)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        try:
            item = received.get(timeout=seconds)
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
