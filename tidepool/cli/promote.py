"""`tidepool promote` and `tidepool export`: put a version to use."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from contract.variants import VariantName
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import progress
from tidepool.cli.models import ModelArgument, models, traffic
from tidepool.cli.output import Json, file_size, note, print_json, say
from tidepool.cli.root import command
from tidepool.errors import UserFacingError

PRODUCTION = "production"
VARIANTS = ", ".join(get_args(VariantName))


@command("promote", "tidepool promote pets@3", "tidepool promote pets@4 --alias staging")
def promote(
    model: ModelArgument,
    alias: Annotated[str, typer.Option(metavar="NAME", help="The alias that points at the version.")] = PRODUCTION,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Let a version of a model answer in production.

    The alias, such as pets@production, points at the version from then on. Promote the old version again to roll back.
    """
    with connected(project) as client:
        version = client.models.version(model)
        aliases = {row.alias: row for row in client.models.get(version.name).aliases}
        changed = client.models.set_alias(version.name, alias, version.version)
    if as_json:
        print_json(changed)
        return
    before = aliases.get(alias)
    say(f"{version.name}@{alias} is version {changed.version} now.")
    if before and before.versions != changed.versions:
        say(f"It was {traffic(before)}; `tidepool promote {version.name}@{before.version} --alias {alias}` rolls back.")


@command("export", "tidepool export pets@3", "tidepool export pets@production --output pets.zip --variant int8")
def export(
    model: ModelArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The zip to write; the default is like pets-3.zip."),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT", help=f"The file of the version: {VARIANTS}; the default is the one that serves."
        ),
    ] = None,
    project: Project = None,
) -> None:
    """Write a model as a zip that works on its own.

    It has the ONNX file, labels, preprocessing and a script that predicts without Tidepool.
    """
    name = next((known for known in get_args(VariantName) if known == variant), None)
    if variant is not None and name is None:
        raise WrongUsage(f"{variant} is not a variant; choose one of {VARIANTS}.")
    with connected(project) as client:
        version = client.models.version(model)
        reference = f"{version.name}@{version.version}"
        path = output or Path(f"{version.name}-{version.version}.zip")
        if not path.parent.is_dir():
            raise UserFacingError(f"The folder {path.parent} does not exist.")
        with progress() as display, display.step("Downloading"):
            client.models.export(reference, path, variant=name)
    say(f"{reference} is in {path}, {file_size(path.stat().st_size)}.")


@command("rm-alias", "tidepool models rm-alias pets@staging", group=models)
def rm_alias(
    alias: Annotated[str, typer.Argument(metavar="MODEL@ALIAS", help="An alias, like pets@staging.")],
    project: Project = None,
) -> None:
    """Delete an alias; the version that it points at stays."""
    name, _, alias_name = alias.partition("@")
    if not alias_name:
        raise WrongUsage(f"{alias} names no alias; write it like {name}@staging.")
    with connected(project) as client:
        client.models.delete_alias(name, alias_name)
    note(f"Deleted the alias {alias}.")
