"""Follow a job with a progress bar; Ctrl-C ends the following, not the job."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from contract.jobs import Job, JobState
from tidepool.cli.exits import ExitCode
from tidepool.cli.output import note, stderr
from tidepool.demo.progress import ProgressDisplay, Update

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

PATIENCE_S = 60.0  # with a server that does not answer while a job is followed
PAUSE_S = 1.0
TITLES = {
    "preprocess": "Preparing the images",
    "revise": "Making the version",
    "train": "Training",
    "trial": "Training a trial",
    "evaluate": "Evaluating",
    "predict": "Predicting",
    "vet": "Checking the model",
    "backbone": "Checking the backbone",
    "purge": "Deleting everything",
    "erase": "Erasing the image",
    "index": "Indexing the images",
}


def progress() -> ProgressDisplay:
    """Return bars on a terminal and occasional lines elsewhere, on stderr."""
    return ProgressDisplay(stderr())


def follow(client: "Client", job: Job, *then: str) -> Job:
    """Show a job's progress until it has succeeded, and return it.

    Raises JobUnsuccessful if it ends in another state. A server that is away is waited for, up to PATIENCE_S. Ctrl-C
    exits and says how to come back; `then` are commands to type after the job.
    """
    with coming_back(job, *then), progress() as display, display.step(TITLES.get(job.kind, job.kind)) as update:
        return _wait(client, job, update)


def _wait(client: "Client", job: Job, update: Update) -> Job:
    from tidepool_client import ServerError, Unreachable

    away_since: float | None = None
    fraction = job.progress.fraction

    def on_progress(state: Job) -> None:
        nonlocal away_since, fraction
        away_since, fraction = None, state.progress.fraction
        update(fraction, activity(state))

    while True:
        try:
            return client.jobs.wait(job.id, on_progress)
        except (Unreachable, ServerError):
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE_S:
                raise
            update(fraction, "the server does not answer; trying again")
            time.sleep(PAUSE_S)


@contextmanager
def coming_back(job: Job, *then: str) -> Iterator[None]:
    """Say how to come back to a job if the block is stopped by Ctrl-C, or the server cannot be reached any more."""
    from tidepool_client import ServerError, Unreachable

    try:
        yield
    except KeyboardInterrupt:
        note(f"Stopped following; the {job.kind} job {job.id} goes on.", *_ways_back(job, then))
        raise typer.Exit(ExitCode.STOPPED) from None
    except (Unreachable, ServerError):
        note(f"The {job.kind} job {job.id} may go on.", *_ways_back(job, then))
        raise


def activity(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return "waiting for a worker"
    return job.progress.message or str(job.state)


def _ways_back(job: Job, then: tuple[str, ...]) -> list[str]:
    ways = [f"  follow it:  tidepool jobs logs -f {job.id}", f"  stop it:    tidepool jobs cancel {job.id}"]
    return ways + [f"  then:       {command}" for command in then]
