"""The `tidepool` command: what a person types."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tidepool.simulate.command import MONTH_S, simulate
from tidepool.stack.home import Home

# ruff: noqa: PLC0415  each command imports what it needs, so that the others start quickly

app = typer.Typer(
    help="A self-hosted platform for image recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(simulate)


@app.command()
def up(
    scale: Annotated[list[str] | None, typer.Option(help="Replicas of a role: inference=2. May be repeated.")] = None,
) -> None:
    """Start the embedded stack and wait until it is ready."""
    from rich.console import Console

    from tidepool.cli.startup import start
    from tidepool.errors import Trouble

    try:
        start(Console(), Home.from_environment(), scale or [])
    except Trouble as trouble:
        _fail(trouble)


@app.command()
def down() -> None:
    """Stop everything that belongs to the stack, also after its supervisor was killed."""
    from tidepool.stack.stack import Stack

    home = Home.from_environment()
    print(f"Stopped the stack in {home.path}." if Stack(home).down() else f"Nothing was running in {home.path}.")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False) -> None:
    """Show every process of the stack."""
    from tidepool.stack.status import status_of

    found = status_of(Home.from_environment())
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    from rich.console import Console

    from tidepool.cli.status_table import print_status

    print_status(Console(), found)


@app.command()
def logs(
    role: Annotated[str, typer.Argument(help="redis, s3, gateway, storage, preprocess, trainer, inference, …")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 100,
) -> None:
    """Print a component's log."""
    home = Home.from_environment()
    log = home.log(role)
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in home.logs.glob("*.log"))) or "none yet"
        _fail(f"There is no log of {role!r}; there are: {known}")
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)])  # noqa: S606


@app.command()
def demo(
    dataset: Annotated[Path | None, typer.Option(help="A zip of pictures instead of the sample.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's own.", min=1)] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running.")] = False,
    home: Annotated[Path | None, typer.Option(help="The stack's folder, kept; a temporary one otherwise.")] = None,
) -> None:
    """Upload, train, evaluate, export and predict, on a stack of its own."""
    from rich.console import Console

    from tidepool.demo.run import SAMPLE, run_demo

    archive = dataset or SAMPLE
    if not archive.is_file():
        _fail(f"There is no {archive}; name a zip with --dataset")
    if not run_demo(Console(), archive=archive, epochs=epochs, folder=home, keep=keep):
        raise typer.Exit(1)


@app.command()
def pools(as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False) -> None:
    """Show the pools of replicas: how many there should be, how many there are, what waits for them."""
    from tidepool.cli.connection import connect
    from tidepool.cli.pools_table import pools_json, print_pools
    from tidepool.errors import Trouble

    try:
        with connect(Home.from_environment()) as client:
            found = client.pools()
    except Trouble as trouble:
        _fail(trouble)
    if as_json:
        print(pools_json(found))
        return
    from rich.console import Console

    print_pools(Console(), found)


@app.command()
def scale(
    pool: Annotated[str, typer.Argument(help="preprocess, trainer or inference.")],
    replicas: Annotated[int | None, typer.Argument(help="How many from now on, whatever the load.", min=0)] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Follow the load; what is not given stays as it is.")] = False,
    least: Annotated[int | None, typer.Option("--min", help="Replicas, with --auto.", min=0)] = None,
    most: Annotated[int | None, typer.Option("--max", help="Replicas, with --auto.", min=0)] = None,
    idle_s: Annotated[
        float | None, typer.Option("--idle", help="Seconds without work before zero.", min=0, max=MONTH_S)
    ] = None,
) -> None:
    """Set how many replicas a pool has, or let it follow its load within bounds."""
    from rich.console import Console

    from tidepool.cli.connection import connect
    from tidepool.cli.pools_table import print_pools
    from tidepool.errors import Trouble

    given: dict[str, float | None] = {"min": least, "max": most, "idle_s": idle_s}
    policy = {name: value for name, value in given.items() if value is not None}
    if auto is (replicas is not None) or (policy and not auto):
        _fail("Say how many, `tidepool scale inference 3`, or `tidepool scale inference --auto --min 0 --max 4`.")
    try:
        with connect(Home.from_environment()) as client:
            changed = client.autoscale(pool, **policy) if replicas is None else client.scale(pool, replicas)
    except Trouble as trouble:
        _fail(trouble)
    print_pools(Console(), (changed,))


@app.command()
def key() -> None:
    """Print the stack's API key."""
    home = Home.from_environment()
    if not home.key_file.exists():
        _fail(f"There is no key in {home.path} yet; the first `up` makes it.")
    print(home.key_file.read_text().strip())


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as of

    print(of("tidepool"))


def _fail(message: object) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
