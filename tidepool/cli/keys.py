"""`tidepool keys`"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from contract.access import ApiKey, Role, Scope
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import ExitCode, WrongUsage
from tidepool.cli.output import Json, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group

MOST_DAYS = 3652  # ten years

keys = group("keys", "List, create and revoke API keys.")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `tidepool keys ls` shows it.")]


@command("ls", "tidepool keys ls", group=keys)
def ls(project: Project = None, as_json: Json = False) -> None:
    """List the keys of the project, without their secrets."""
    with connected(project) as client:
        rows = list(client.keys.list())
    if as_json:
        print_json(rows)
        return
    columns = ("id", "name", "access", "created", "expires", "last used")
    times = [
        (moment(key.created_at), moment(key.expires_at, "never"), moment(key.last_used_at, "never")) for key in rows
    ]
    print_table(columns, ((key.id, key.name, access_of(key), *at) for key, at in zip(rows, times, strict=True)))


@command("show", "tidepool keys show 0123abcd", group=keys)
def show(key_id: KeyId, project: Project = None, as_json: Json = False) -> None:
    """Show a key, without its secret."""
    with connected(project) as client:
        key = next((key for key in client.keys.list() if key.id == key_id), None)
    if key is None:
        note(f"There is no key {key_id}. `tidepool keys ls` lists the keys.")
        raise typer.Exit(ExitCode.REFUSED)
    if as_json:
        print_json(key)
        return
    say(f"{key.name}, key {key.id} of the project {key.project}")
    say(f"  may: {', '.join(key.scopes)}{f' (the role {key.role})' if key.role else ''}")
    say(f"  created {moment(key.created_at)}, expires {moment(key.expires_at, 'never')}")
    say(f"  last used {moment(key.last_used_at, 'never')}")


@command(
    "create",
    "tidepool keys create laptop --role member",
    "tidepool keys create app --scope predict --days 90",
    group=keys,
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that says who uses the key.")],
    role: Annotated[Role | None, typer.Option(help="Named set of scopes.")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="One scope, in place of a role. Can be repeated.")] = None,
    days: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Days until the key expires; never by default.", min=0.001, max=MOST_DAYS),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Only pages of this origin, like https://example.com. Can be repeated."),
    ] = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Create a key and print its secret, which is shown only now."""
    if (role is None) is not bool(scope):
        raise WrongUsage("Give a role, `--role viewer`, or scopes, `--scope read --scope predict`.")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with connected(project) as client:
        key = client.keys.create(name, role=role, scopes=scope or (), expires_at=expires_at, origins=origin or ())
    if as_json:
        print_json(key)
        return
    until = "" if key.expires_at is None else f", which expires {moment(key.expires_at)}"
    note(f"Created the key {key.id}{until}; its secret is shown only now.")
    print(key.secret)


@command("rm", "tidepool keys rm 0123abcd", group=keys)
def rm(key_id: KeyId, project: Project = None) -> None:
    """Revoke a key; requests with it fail within a second."""
    with connected(project) as client:
        client.keys.delete(key_id)
    note(f"Revoked the key {key_id}.")


def access_of(key: ApiKey) -> str:
    return key.role or ", ".join(key.scopes)
