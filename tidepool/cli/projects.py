"""`tidepool projects`"""

import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.access import DEFAULT_PROJECT
from contract.jobs import LIVE
from contract.projects import Project, Quotas
from contract.usage import UsageBy
from tidepool.cli.connection import connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import follow
from tidepool.cli.limits import SIZES, amount, given, retention_after
from tidepool.cli.output import Json, file_size, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group

if TYPE_CHECKING:
    from tidepool_client import Client

projects = group("projects", "List, create, change and delete projects, each with its own data, models and keys.")

MOST_COUNTED = 1000  # live jobs, which are counted by listing them

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")]


def _quota(help_text: str, metavar: str = "NUMBER") -> Any:
    return typer.Option(metavar=metavar, help=f"{help_text}, or none for no limit.")


@command("ls", "tidepool projects ls", group=projects)
def ls(as_json: Json = False) -> None:
    """List the projects that the key may see."""
    with connected(None) as client:
        rows = list(client.projects.list())
    if as_json:
        print_json(rows)
        return
    columns = ("project", "created", "description")
    print_table(columns, ((row.name, moment(row.created_at), row.description) for row in rows))


@command("show", "tidepool projects show lab", "tidepool projects show lab --json", group=projects)
def show(name: NameArgument, as_json: Json = False) -> None:
    """Show a project: its quotas beside what it uses, and its automatic deletions.

    Requests are counted by the gateways and not shown. With --json, only the project itself.
    """
    with connected(name) as client:
        project = client.projects.get(name)
        used = {} if as_json else _used(client)
    if as_json:
        print_json(project)
    else:
        _print(project, used)


@command("create", 'tidepool projects create lab --description "Microscope images"', group=projects)
def create(
    name: NameArgument,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Create a project; needs a key of an instance admin."""
    with connected(None) as client:
        project = client.projects.create(name, description=description)
    if as_json:
        print_json(project)
        return
    say(f"Created the project {project.name}.", "Next:")
    say(f"  tidepool keys create ann --role admin --project {project.name}  creates a key for a person")


@command(
    "set",
    "tidepool projects set lab --stored-bytes 10GiB --live-jobs 20",
    "tidepool projects set lab --live-jobs none --weight 2",
    "tidepool projects set lab --jobs-days 90 --versions-days 365 --keep-last 3",
    group=projects,
)
def change(
    name: NameArgument,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    weight: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Its share of the replicas beside other projects.", min=1)
    ] = None,
    stored_bytes: Annotated[str | None, _quota("Bytes in the object store", "SIZE")] = None,
    live_jobs: Annotated[str | None, _quota("Jobs that are queued or running")] = None,
    replica_seconds_per_month: Annotated[str | None, _quota("Seconds of jobs and predictions")] = None,
    requests_per_minute: Annotated[str | None, _quota("Requests a minute, in each gateway")] = None,
    requests_at_once: Annotated[str | None, _quota("Requests in progress, in each gateway")] = None,
    upload_bytes: Annotated[str | None, _quota("Bytes of one upload", "SIZE")] = None,
    jobs_days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Delete jobs this many days after they ended; 'none' keeps them.")
    ] = None,
    uploads_days: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS", help="Delete uploads that became no version after this many days; 'none' keeps them."
        ),
    ] = None,
    versions_days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Delete versions older than this, or none.")
    ] = None,
    keep_last: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Always keep this many newest versions of a name.", min=1)
    ] = None,
    trained_on: Annotated[
        bool | None,
        typer.Option("--trained-on/--not-trained-on", help="Also delete old dataset versions with a model."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a project's quotas, weight, description, and automatic deletions.

    What is left out stays as it is; `none` removes a limit. Needs a key of an instance admin.
    """
    typed: dict[str, str | None] = {
        "stored_bytes": stored_bytes,
        "live_jobs": live_jobs,
        "replica_seconds_per_month": replica_seconds_per_month,
        "requests_per_minute": requests_per_minute,
        "requests_at_once": requests_at_once,
        "upload_bytes": upload_bytes,
    }
    quotas = {field: amount(field, text) for field, text in given(**typed).items()}
    days = given(jobs_days=jobs_days, uploads_days=uploads_days, versions_days=versions_days)
    kept = {field: amount(field, text) for field, text in days.items()}
    versions = given(keep_last=keep_last, trained_on=trained_on)
    own = given(description=description, weight=weight)
    if not (quotas or kept or versions or own):
        raise WrongUsage("Name what to change, for example --live-jobs 20.")
    changes: dict[str, Any] = own | ({"quotas": quotas} if quotas else {})
    with connected(None) as client:
        if kept or versions:
            changes["retention"] = retention_after(client.projects.get(name), kept, versions)
        project = client.projects.update(name, **changes)
    if as_json:
        print_json(project)
    else:
        _print(project, {})


@command("rm", "tidepool projects rm lab", "tidepool projects rm lab --purge", group=projects)
def rm(
    name: NameArgument,
    purge: Annotated[bool, typer.Option("--purge", help="Delete everything that it has as well.")] = False,
) -> None:
    """Delete a project that owns nothing, or with --purge with all that it owns.

    What is purged cannot be brought back: data, models, jobs and keys.
    """
    with connected(DEFAULT_PROJECT if purge else None) as client:  # the job that purges belongs to `default`
        if purge:
            follow(client, client.projects.purge(name))
        else:
            client.projects.delete(name)
    note(f"Deleted the project {name}.")


def _used(client: "Client") -> dict[str, str]:
    """Return what the client's project uses, by the quota that limits it."""
    today = datetime.now(UTC).date()
    usage = client.usage.get(since=today.replace(day=1), until=today, by=UsageBy.DAY)
    jobs = sum(1 for state in LIVE for _ in islice(client.jobs.list(state=state, limit=MOST_COUNTED), MOST_COUNTED))
    return {
        "stored_bytes": file_size(client.usage.storage().bytes),
        "live_jobs": f"{jobs:,}" if jobs < MOST_COUNTED else f"{MOST_COUNTED:,} or more",
        "replica_seconds_per_month": f"{sum(line.jobs_s + line.online_s for line in usage.items):,.0f}",
    }


def _print(project: Project, used: dict[str, str]) -> None:
    say(f"{project.name}, created {moment(project.created_at)}, weight {project.weight}")
    say(*([f"  {project.description}"] if project.description else []))
    rows = [
        (field.replace("_", " "), _limit(field, getattr(project.quotas, field)), *([used.get(field)] if used else []))
        for field in Quotas.model_fields
    ]
    columns = ("quota", "limit", "used") if used else ("quota", "limit")
    print_table(columns, rows, numbers=columns[1:])
    retention = project.retention.model_dump(mode="json", exclude_none=True)
    say(*(f"  deleted after: {name} = {json.dumps(value)}" for name, value in retention.items()))


def _limit(field: str, limit: int | None) -> str | None:
    if limit is None:
        return "none"
    return file_size(limit) if field in SIZES else f"{limit:,}"
