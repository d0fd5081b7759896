"""`tidepool projects`"""

import json
from typing import Annotated

import typer

from contract.access import DEFAULT_PROJECT
from tidepool.cli.connection import connected
from tidepool.cli.following import follow
from tidepool.cli.output import Json, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group

projects = group("projects", "List, create and delete projects, each with its own data, models and keys.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")]


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


@command("show", "tidepool projects show lab --json", group=projects)
def show(name: NameArgument, as_json: Json = False) -> None:
    """Show a project, with its quotas and what is deleted by itself."""
    with connected(None) as client:
        project = client.projects.get(name)
    if as_json:
        print_json(project)
        return
    say(f"{project.name}, created {moment(project.created_at)}, weight {project.weight}")
    say(*([f"  {project.description}"] if project.description else []))
    for title, limits in (("quota", project.quotas), ("deleted after", project.retention)):
        set_ones = limits.model_dump(mode="json", exclude_none=True)
        say(*(f"  {title}: {name} = {json.dumps(value)}" for name, value in set_ones.items()))


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
    say(f"  tidepool keys create ann --role admin --project {project.name}  a key for the one who works in it")


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
