"""The commands for the stack on this machine: up, down, status, logs, key."""

import os
from contextlib import suppress
from typing import Annotated

import typer

from tidepool.cli.connection import current_home
from tidepool.cli.output import Json, print_json, say, stdout
from tidepool.cli.root import command
from tidepool.cli.servers import load_servers, save_servers
from tidepool.errors import UserFacingError
from tidepool.stack.home import VARIABLE, Home

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly


@command("up", "tidepool up", "tidepool up --scale inference=2 --gateways 2")
def up(
    scale: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=NUMBER", help="Number of replicas of a role, like inference=2. Can be repeated."),
    ] = None,
    gateways: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Gateway processes that share the port; the default is TIDEPOOL_GATEWAYS, or 1.",
            min=1,
        ),
    ] = None,
    pin: Annotated[
        int | None,
        typer.Option(
            metavar="CORES",
            help="Give each inference replica this many cores of its own, and each gateway one; 0 is off.",
            min=0,
        ),
    ] = None,
) -> None:
    """Start Tidepool on this machine.

    Waits until everything is ready. The data is in the folder .tidepool, or in the one that TIDEPOOL_HOME names; the
    port is 8080, or TIDEPOOL_PORT. From then on, commands in any folder find this stack.
    """
    from tidepool.cli.startup import start

    home = Home.from_environment()
    start(stdout(), home, scale or [], gateways, pin)
    if VARIABLE in os.environ:
        return
    with suppress(UserFacingError):  # a configuration folder that cannot be written
        save_servers(load_servers().with_stack(home.path))


@command("down", "tidepool down")
def down() -> None:
    """Stop the stack; its data stays."""
    from tidepool.stack.stack import Stack

    home = current_home()
    say(f"Stopped the stack in {home.path}." if Stack(home).down() else f"Nothing was running in {home.path}.")


@command("status", "tidepool status")
def status(as_json: Json = False) -> None:
    """Show the processes of the stack."""
    from tidepool.stack.status import status_of

    stack_status = status_of(current_home())
    if as_json:
        print_json(stack_status)
        return
    from tidepool.cli.status_table import print_status

    print_status(stdout(), stack_status)


@command("logs", "tidepool logs trainer --follow")
def logs(
    role: Annotated[
        str,
        typer.Argument(
            metavar="COMPONENT", help="Component: redis, s3, gateway, storage, preprocess, trainer, inference, …"
        ),
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="NUMBER", help="Number of lines to print.", min=0)
    ] = 100,
) -> None:
    """Print the log of a component.

    What a job did is in `tidepool jobs logs`.
    """
    home = current_home()
    names = sorted(path.stem for path in home.logs.glob("*.log"))
    if role not in names:
        raise UserFacingError(f"There is no log of {role!r}. Available: {', '.join(names) or 'none yet'}")
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(home.log(role))])  # noqa: S606


@command("key", "tidepool key")
def key() -> None:
    """Print the stack's admin API key."""
    home = current_home()
    if not home.key_file.exists():
        raise UserFacingError(f"There is no key in {home.path} yet; the first `tidepool up` creates it.")
    print(home.key_file.read_text().strip())
