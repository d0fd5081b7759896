"""`tidepool usage`: what replicas were used for, and what is stored."""

from datetime import datetime
from typing import Annotated

import typer

from contract.usage import StorageUsage, Stored, UsageBy
from tidepool.cli.connection import Project, connected
from tidepool.cli.output import Json, file_size, moment, print_json, print_table, say
from tidepool.cli.root import command

COLUMNS = {
    "ready": "ready_s",
    "jobs": "jobs_s",
    "predictions": "online_s",
    "on a GPU": "gpu_s",
    "at the maximum": "at_max_s",
}
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="A day in UTC, included.")]


@command("usage", "tidepool usage", "tidepool usage --by model --since 2026-01-01", "tidepool usage --storage")
def usage(
    by: Annotated[UsageBy, typer.Option(help="What a line stands for.")] = UsageBy.DAY,
    since: Day = None,
    until: Day = None,
    storage: Annotated[
        bool, typer.Option("--storage", help="Show only the stored bytes, by what they are for.")
    ] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show how long replicas were ready and busy, and what is stored.

    The last 30 days by default; times are those of all replicas together. `at the maximum` is what the largest number
    of replicas would have used all the time.
    """
    with connected(project) as client:
        if storage:
            _print_storage(client.usage.storage(), as_json=as_json)
            return
        used = client.usage.get(since=since and since.date(), until=until and until.date(), by=by)
        stored = None if as_json else client.usage.storage()
    if stored is None:
        print_json(used)
        return
    say(f"{used.since} to {used.until}, by {used.by}:")
    rows = ([line.key, *(_span(getattr(line, field)) for field in COLUMNS.values())] for line in used.items)
    print_table((used.by, *COLUMNS), rows, numbers=COLUMNS)
    counted = moment(stored.measured_at, "never")
    say(
        f"Stored: {file_size(stored.bytes)} in {stored.objects:,} objects, as counted {counted}; "
        "--storage says for what."
    )


def _print_storage(stored: StorageUsage, *, as_json: bool) -> None:
    if as_json:
        print_json(stored)
        return
    say(f"Stored objects, as counted {moment(stored.measured_at, 'never')}:")
    rows: list[tuple[str, Stored]] = [*stored.categories.items(), ("all", stored)]
    columns = ("what", "objects", "size")
    print_table(columns, ((name, row.objects, file_size(row.bytes)) for name, row in rows), numbers=columns[1:])


def _span(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
