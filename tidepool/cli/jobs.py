"""`tidepool jobs`"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contract.jobs import Job, JobState
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import worth_a_retry
from tidepool.cli.following import activity, follow
from tidepool.cli.job_log import print_log, result_lines
from tidepool.cli.output import Json, file_size, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group
from tidepool.cli.searching import print_children

jobs = group("jobs", "List, show, follow, cancel, retry and delete jobs.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `tidepool jobs ls` shows it.")]


@command("ls", "tidepool jobs ls", "tidepool jobs ls --state failed --kind train --json", group=jobs)
def ls(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only jobs of this kind: train, preprocess, evaluate, …")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only jobs of this model.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only jobs of this dataset.")] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="JOB", help="Only the trials or folds of this training.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", help="Number of jobs.", min=1)] = 20,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """List the jobs, newest first."""
    with connected(project) as client:
        rows = list(client.jobs.list(kind=kind, state=state, model=model, dataset=dataset, parent=parent, limit=limit))
    if as_json:
        print_json(rows)
        return
    columns = ("job", "kind", "about", "state", "progress", "created", "took")
    lines = (
        (job.id, job.kind, _about(job), job.state, _progress(job), moment(job.created_at), _took(job)) for job in rows
    )
    print_table(columns, lines, numbers={"progress", "took"})
    if len(rows) == limit:
        note(f"The newest {limit} jobs are shown; --limit shows more.")


@command("show", "tidepool jobs show 01a20ca3-1b53-75b4-9e31-a6c00b050a58", group=jobs)
def show(job_id: JobId, project: Project = None, as_json: Json = False) -> None:
    """Show a job: its state, its spec, and why it failed."""
    with connected(project) as client:
        job = client.jobs.get(job_id)
        if not as_json:
            _print(job)
            print_children(client, job)
            return
    print_json(job)


def _print(job: Job) -> None:
    say(f"{job.kind} job {job.id} is {job.state}")
    if job.error:
        say(f"  because: {job.error.message} ({job.error.code})")
    if not job.state.terminal:
        say(f"  progress: {job.progress.fraction:.0%}, {activity(job)}")
    say(f"  created {moment(job.created_at)}, started {moment(job.started_at)}, ended {moment(job.finished_at)}")
    say(*([f"  created by the pipeline {job.pipeline}"] if job.pipeline else []))
    say(f"  attempt {job.attempt} of {job.max_attempts}, priority {job.priority}")
    say(*(f"  {name}: {_text(value)}" for name, value in job.spec.items() if value is not None))
    say(*result_lines(job))
    if job.state.terminal and job.state is not JobState.SUCCEEDED and worth_a_retry(job):
        say(f"Run it again: tidepool jobs retry {job.id}")


@command("logs", "tidepool jobs logs -f 01a20ca3-1b53-75b4-9e31-a6c00b050a58", group=jobs)
def logs(
    job_id: JobId,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Print what a job did: states, progress, metrics of each epoch, messages.

    With --follow, the exit code is 4 if the job does not succeed. With --json, each event is a line.
    """
    with connected(project) as client:
        print_log(client, client.jobs.get(job_id), following=following, as_json=as_json)


@command("cancel", "tidepool jobs cancel 01a20ca3-1b53-75b4-9e31-a6c00b050a58 --keep-best", group=jobs)
def cancel(
    job_id: JobId,
    keep_best: Annotated[
        bool, typer.Option("--keep-best", help="End a training early, with the best model so far.")
    ] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Cancel a job: at once while it waits, within seconds while it runs."""
    with connected(project) as client:
        job = client.jobs.cancel(job_id, keep_best=keep_best)
    if as_json:
        print_json(job)
    elif job.state.terminal:
        say(f"The {job.kind} job {job.id} is {job.state}.")
    else:
        say(f"The {job.kind} job {job.id} ends within seconds.")


@command("retry", "tidepool jobs retry 01a20ca3-1b53-75b4-9e31-a6c00b050a58 --follow", group=jobs)
def retry(
    job_id: JobId,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Wait for the end and show the progress.")] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Run a job again that failed, was cancelled or has expired."""
    with connected(project) as client:
        job: Job = client.jobs.retry(job_id)
        if following:
            job = follow(client, job)
    if as_json:
        print_json(job)
    else:
        say(f"The {job.kind} job {job.id} is {job.state}.", f"  tidepool jobs logs -f {job.id}")


@command("output", "tidepool jobs output 01a20ca3-1b53-75b4-9e31-a6c00b050a58 -o rows.jsonl", group=jobs)
def output(
    job_id: JobId,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write; the default is JOB.jsonl or the like."),
    ] = None,
    project: Project = None,
) -> None:
    """Download the file of an evaluation or a batch prediction: a row for each image."""
    with connected(project) as client:
        job = client.jobs.get(job_id)
        path = file or Path(f"{job.id}.{job.spec.get('format', 'jsonl')}")
        client.jobs.output(job.id, path)
    say(f"The rows are in {path}, {file_size(path.stat().st_size)}.")


@command("rm", "tidepool jobs rm 01a20ca3-1b53-75b4-9e31-a6c00b050a58", group=jobs)
def rm(job_id: JobId, project: Project = None) -> None:
    """Delete a job that has ended, with its output.

    A version that it made must be deleted first.
    """
    with connected(project) as client:
        client.jobs.delete(job_id)
    note(f"Deleted the job {job_id}.")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _about(job: Job) -> str:
    """Return what a job works on, like `pets@1 → pets`."""
    source = job.spec.get("input")
    spec = job.spec.get("training") or job.spec  # of a trial
    dataset = spec.get("dataset") or (source.get("dataset") if isinstance(source, dict) else None)
    names = [name for name in (dataset, spec.get("model"), spec.get("name")) if isinstance(name, str)]
    return (" → " if job.kind in ("train", "trial") else ", ").join(names)


def _progress(job: Job) -> str | None:
    return f"{job.progress.fraction:.0%}" if job.state is JobState.RUNNING else None


def _took(job: Job) -> str | None:
    if job.started_at is None:
        return None
    end = job.finished_at or datetime.now(UTC)
    seconds = max(0.0, (end - job.started_at).total_seconds())
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
