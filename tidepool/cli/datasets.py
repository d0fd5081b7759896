"""`tidepool datasets`"""

from typing import Annotated

import typer

from contract.catalog import DatasetVersion
from contract.datasets import Split
from tidepool.cli.connection import Project, connected
from tidepool.cli.output import Json, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group
from tidepool.cli.upload import decision_lines, warning_lines

datasets = group("datasets", "List, show and delete datasets.")


@command("ls", "tidepool datasets ls", group=datasets)
def ls(project: Project = None, as_json: Json = False) -> None:
    """List the datasets with their versions."""
    with connected(project) as client:
        rows = list(client.datasets.list())
    if as_json:
        print_json(rows)
        return
    columns = ("dataset", "newest", "versions", "created")
    lines = ((row.name, next(iter(row.versions), None), len(row.versions), moment(row.created_at)) for row in rows)
    print_table(columns, lines, numbers={"newest", "versions"})
    if not rows:
        note("There are no datasets yet. `tidepool upload FOLDER` makes one.")


@command("show", "tidepool datasets show pets", "tidepool datasets show pets@2 --json", group=datasets)
def show(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset: pets, or a version, pets@2.")],
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show a version: its classes, decisions and warnings, and the files that were left out."""
    with connected(project) as client:
        version = client.datasets.version(dataset)
    if as_json:
        print_json(version)
        return
    _, height, width = version.shape
    say(
        f"{version.name}@{version.version}, {len(version.classes)} classes, {width} by {height} pixels, "
        f"{moment(version.created_at)}, job {version.job}"
    )
    print_table(("class", *Split), _classes(version), numbers=tuple(Split))
    say(*warning_lines(version.warnings), *decision_lines(version.decisions))
    if version.rejected:
        say(f"Left out, {version.rejected:,} in all:")
        say(*(f"  {file.file}: {file.reason}" for file in version.rejected_files))


@command("rm", "tidepool datasets rm pets@2", group=datasets)
def rm(
    version: Annotated[str, typer.Argument(metavar="DATASET@VERSION", help="A version, like pets@2.")],
    project: Project = None,
) -> None:
    """Delete a version that no running job uses."""
    with connected(project) as client:
        client.datasets.delete(version)
    note(f"Deleted {version}.")


def _classes(version: DatasetVersion) -> list[tuple[object, ...]]:
    counts = version.counts_by_class
    rows: list[tuple[object, ...]] = [
        (label, *(f"{counts.get(split, {}).get(label, 0):,}" for split in Split)) for label in version.classes
    ]
    return [*rows, ("all", *(f"{getattr(version.counts, split):,}" for split in Split))]
