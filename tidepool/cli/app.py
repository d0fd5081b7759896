"""The `tidepool` command."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tidepool.cli.keys import keys
from tidepool.simulate.command import MONTH_S, simulate
from tidepool.stack.home import Home

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly

app = typer.Typer(
    help="A self-hosted platform for image recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(simulate)
app.add_typer(keys, name="keys")


@app.command()
def up(
    scale: Annotated[
        list[str] | None, typer.Option(help="Number of replicas of a role, like inference=2. Can be repeated.")
    ] = None,
) -> None:
    """Start the embedded stack and wait until it is ready."""
    from rich.console import Console

    from tidepool.cli.startup import start
    from tidepool.errors import UserFacingError

    try:
        start(Console(), Home.from_environment(), scale or [])
    except UserFacingError as error:
        _fail(error)


@app.command()
def down() -> None:
    """Stop the stack, even if its supervisor was killed."""
    from tidepool.stack.stack import Stack

    home = Home.from_environment()
    print(f"Stopped the stack in {home.path}." if Stack(home).down() else f"Nothing was running in {home.path}.")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the processes of the stack."""
    from tidepool.stack.status import status_of

    stack_status = status_of(Home.from_environment())
    if as_json:
        print(stack_status.model_dump_json(indent=2))
        return
    from rich.console import Console

    from tidepool.cli.status_table import print_status

    print_status(Console(), stack_status)


@app.command()
def logs(
    role: Annotated[
        str, typer.Argument(help="Component: redis, s3, gateway, storage, preprocess, trainer, inference, …")
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Number of lines to print.")] = 100,
) -> None:
    """Print the end of a component's log."""
    home = Home.from_environment()
    log = home.log(role)
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in home.logs.glob("*.log"))) or "none yet"
        _fail(f"There is no log of {role!r}. Available: {known}")
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)])  # noqa: S606


@app.command()
def demo(
    dataset: Annotated[Path | None, typer.Option(help="Zip of images to use instead of the two samples.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Train from scratch for this many epochs; by default, the data decides.", min=1)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end.")] = False,
    home: Annotated[
        Path | None, typer.Option(help="Folder for the stack, which is kept; the default is a temporary folder.")
    ] = None,
) -> None:
    """Start a separate stack and upload a dataset, train, evaluate, export and predict."""
    from rich.console import Console

    from tidepool.demo.run import SAMPLES, run_demo

    changes = {} if epochs is None else {"epochs": epochs}
    archives = {archive: recipe | changes for archive, recipe in ({dataset: {}} if dataset else SAMPLES).items()}
    for archive in archives:
        if not archive.is_file():
            _fail(f"{archive} does not exist. Name a zip file with --dataset.")
    if not run_demo(Console(), archives=archives, folder=home, keep=keep):
        raise typer.Exit(1)


@app.command()
def upload(
    source: Annotated[
        str, typer.Argument(help="Folder of images, a zip or tar of one, or s3://bucket/prefix.", metavar="PATH")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the default is the folder's name.")] = None,
    class_level: Annotated[
        str | None, typer.Option(help="The folder that names the class: 1 is the first, `leaf` the innermost.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="The column of a CSV that names the class.")] = None,
    path_column: Annotated[str | None, typer.Option(help="The column of a CSV that names the image.")] = None,
) -> None:
    """Upload images as a new version of a dataset, and show what was made of them."""
    from rich.console import Console

    from tidepool.cli.connection import connect
    from tidepool.cli.upload import S3
    from tidepool.cli.upload import upload as upload_images
    from tidepool.errors import UserFacingError
    from tidepool_client import ClientError, dataset_name

    if not source:  # Path("") is the current folder
        _fail("The path is empty. Name a folder of images, or a zip or tar of one.")
    if not source.startswith(S3) and not Path(source).exists():
        _fail(f"{source} does not exist. Name a folder of images, or a zip or tar of one.")
    level = int(class_level) if class_level and class_level.isdecimal() else class_level
    named = {"class_level": level, "label_column": label_column, "path_column": path_column}
    layout = {key: value for key, value in named.items() if value is not None}
    spec = {"layout": layout} if layout else None
    try:
        with connect(Home.from_environment()) as client:
            upload_images(Console(), client, source, name or dataset_name(Path(source)), spec)
    except (UserFacingError, ClientError) as error:
        _fail(error)


@app.command()
def pools(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each pool's desired and ready replicas and its queue."""
    from tidepool.cli.connection import connect
    from tidepool.cli.pools_table import pools_json, print_pools
    from tidepool.errors import UserFacingError
    from tidepool_client import ClientError

    try:
        with connect(Home.from_environment()) as client:
            all_pools = list(client.pools.list())
    except (UserFacingError, ClientError) as error:
        _fail(error)
    if as_json:
        print(pools_json(all_pools))
        return
    from rich.console import Console

    print_pools(Console(), all_pools)


@app.command()
def scale(
    pool: Annotated[str, typer.Argument(help="Pool: preprocess, trainer or inference.")],
    replicas: Annotated[int | None, typer.Argument(help="Fixed number of replicas, at any load.", min=0)] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Follow the load; settings that are not given keep their values.")
    ] = False,
    least: Annotated[int | None, typer.Option("--min", help="Fewest replicas, with --auto.", min=0)] = None,
    most: Annotated[int | None, typer.Option("--max", help="Most replicas, with --auto.", min=0)] = None,
    idle_s: Annotated[
        float | None,
        typer.Option("--idle", help="Seconds without work before scaling to zero, with --auto.", min=0, max=MONTH_S),
    ] = None,
) -> None:
    """Set the number of replicas of a pool, or let it follow its load."""
    from rich.console import Console

    from tidepool.cli.connection import connect
    from tidepool.cli.pools_table import print_pools
    from tidepool.errors import UserFacingError
    from tidepool_client import ClientError

    options: dict[str, float | None] = {"min": least, "max": most, "idle_s": idle_s}
    policy = {name: value for name, value in options.items() if value is not None}
    if auto is (replicas is not None) or (policy and not auto):
        _fail("Give a number, `tidepool scale inference 3`, or `tidepool scale inference --auto --min 0 --max 4`.")
    try:
        with connect(Home.from_environment()) as client:
            changed = client.pools.autoscale(pool, **policy) if replicas is None else client.pools.scale(pool, replicas)
    except (UserFacingError, ClientError) as error:
        _fail(error)
    print_pools(Console(), (changed,))


@app.command()
def key() -> None:
    """Print the stack's admin API key."""
    home = Home.from_environment()
    if not home.key_file.exists():
        _fail(f"There is no key in {home.path} yet; the first `tidepool up` creates it.")
    print(home.key_file.read_text().strip())


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(version_of("tidepool"))


def _fail(message: object) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
