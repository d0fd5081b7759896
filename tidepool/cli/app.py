"""The `tidepool` command: all of its commands, which importing their modules adds to it."""

from pathlib import Path
from typing import Annotated

import typer

from tidepool.cli import (
    account,
    backup,
    datasets,
    doctor,
    drift,
    images,
    jobs,
    judge,
    keys,
    models,
    pipelines,
    pools,
    predict,
    projects,
    promote,
    review,
    revisions,
    sampling,
    stack,
    train,
    upload,
    usage,
)
from tidepool.cli.exits import WrongUsage
from tidepool.cli.root import GroupWithDefault, app, command, group
from tidepool.simulate.cluster_command import cluster
from tidepool.simulate.command import simulate

__all__ = ["app"]
MODULES = (
    *(account, backup, datasets, doctor, drift, images, jobs, judge, keys, models, pipelines, pools, predict),
    *(projects, promote, review, revisions, sampling, stack, train, upload, usage),
)

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly

_simulate = group("simulate", "Estimate what a pool or a whole deployment would do.", GroupWithDefault)
command("pool", "tidepool simulate pool diurnal --peak 200 --min 0 --max 8", group=_simulate)(simulate)
command("cluster", "tidepool simulate cluster --replicas 5000 --job-s 30", group=_simulate)(cluster)


@command("demo", "tidepool demo", "tidepool demo --dataset photos.zip --keep")
def demo(
    dataset: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Zip of images to use instead of the two samples.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", help="Train from scratch for this many epochs; by default, the data decides.", min=1
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end.")] = False,
    home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for the stack, which is kept; the default is a temporary folder."),
    ] = None,
) -> None:
    """Try everything on sample images.

    Starts a stack of its own, uploads, trains, evaluates, exports and predicts, and stops the stack again.
    """
    from rich.console import Console

    from tidepool.demo.run import SAMPLES, run_demo

    changes = {} if epochs is None else {"epochs": epochs}
    archives = {archive: recipe | changes for archive, recipe in ({dataset: {}} if dataset else SAMPLES).items()}
    for archive in archives:
        if not archive.is_file():
            raise WrongUsage(f"{archive} does not exist. Name a zip file with --dataset.")
    if not run_demo(Console(), archives=archives, folder=home, keep=keep):
        raise typer.Exit(1)


@command("version", "tidepool version")
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(version_of("tidepool"))


if __name__ == "__main__":
    app()
