"""`tidepool keys`: list, create and revoke API keys."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from contract.access import Role, Scope
from tidepool.stack.home import Home

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly

MOST_DAYS = 3652  # ten years
COLUMNS = ("id", "name", "access", "created", "expires", "last used")

keys = typer.Typer(help="List, create and revoke API keys.", no_args_is_help=True)


@keys.command()
def ls(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys, without their secrets."""
    with _client() as client:
        api_keys = list(client.keys.list())
    if as_json:
        import json

        print(json.dumps([key.model_dump(mode="json") for key in api_keys], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name)
    for key in api_keys:
        access = key.role or ", ".join(key.scopes)
        table.add_row(key.id, key.name, access, _time(key.created_at), _time(key.expires_at), _time(key.last_used_at))
    Console().print(table, highlight=False)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="A name that says who uses the key.")],
    role: Annotated[Role | None, typer.Option(help="Named set of scopes.")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="One scope, in place of a role. Can be repeated.")] = None,
    days: Annotated[
        float | None, typer.Option(help="Days until the key expires; never by default.", min=0.001, max=MOST_DAYS)
    ] = None,
) -> None:
    """Create a key and print its secret, which is shown only now."""
    if (role is None) is not bool(scope):
        _fail("Give a role, `--role viewer`, or scopes, `--scope read --scope predict`.")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with _client() as client:
        key = client.keys.create(name, role=role, scopes=scope or (), expires_at=expires_at)
    until = "" if key.expires_at is None else f", which expires {_time(key.expires_at)}"
    print(f"Created the key {key.id}{until}; its secret is shown only now.", file=sys.stderr)
    print(key.secret)


@keys.command()
def rm(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `tidepool keys ls` shows it.")],
) -> None:
    """Revoke a key; requests with it fail within a second."""
    with _client() as client:
        client.keys.delete(key_id)
    print(f"Revoked the key {key_id}.")


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


@contextmanager
def _client() -> "Iterator[Client]":
    """Connect to the deployment; ends the command with a message if a request fails."""
    from tidepool.cli.connection import connect
    from tidepool.errors import UserFacingError
    from tidepool_client import ClientError

    try:
        with connect(Home.from_environment()) as client:
            yield client
    except (UserFacingError, ClientError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)
