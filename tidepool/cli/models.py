"""`tidepool models`, `tidepool promote` and `tidepool export`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import typer

from contract.catalog import Alias, ModelVersion
from contract.evaluation import Metrics
from contract.variants import VariantName
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import progress
from tidepool.cli.output import Json, file_size, moment, note, percent, print_json, print_table, say
from tidepool.cli.root import command, group
from tidepool.cli.train import accuracy_line
from tidepool.cli.upload import decision_lines, listed
from tidepool.errors import UserFacingError

PRODUCTION = "production"
VARIANTS = ", ".join(get_args(VariantName))

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model: pets, pets@3 or pets@production.")]
VersionArgument = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="A version, like pets@3.")]

models = group("models", "List, show and delete models; lift a quarantine.")


@command("ls", "tidepool models ls", group=models)
def ls(project: Project = None, as_json: Json = False) -> None:
    """List the models with their versions and aliases."""
    with connected(project) as client:
        rows = list(client.models.list())
    if as_json:
        print_json(rows)
        return
    columns = ("model", "newest", "versions", "aliases", "created")
    lines = (
        (row.name, next(iter(row.versions), None), len(row.versions), _aliases(row.aliases), moment(row.created_at))
        for row in rows
    )
    print_table(columns, lines, numbers={"newest", "versions"})
    if not rows:
        note("There are no models yet. `tidepool train FOLDER` makes one.")


@command("show", "tidepool models show pets", "tidepool models show pets@production --json", group=models)
def show(model: ModelArgument, project: Project = None, as_json: Json = False) -> None:
    """Show how good a version is, class by class, and what was decided in its training."""
    with connected(project) as client:
        version = client.models.version(model)
    if as_json:
        print_json(version)
        return
    say(*_lines(version))
    metrics = version.metrics and (version.metrics.test or version.metrics.val)
    if metrics:
        columns = ("class", "images", "right", "precision", "most often taken for")
        say("")
        print_table(columns, _classes(version, metrics), numbers=columns[1:4])
    if version.decisions:
        say("", *decision_lines(version.decisions))


@command("card", "tidepool models card pets@3 > card.md", group=models)
def card(model: ModelArgument, project: Project = None) -> None:
    """Print the model card of a version, as Markdown."""
    with connected(project) as client:
        print(client.models.card(model))


@command("rm", "tidepool models rm pets@3", group=models)
def rm(version: VersionArgument, project: Project = None) -> None:
    """Delete a version that no alias points at."""
    with connected(project) as client:
        client.models.delete(version)
    note(f"Deleted {version}.")


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


@command("lift-quarantine", "tidepool models lift-quarantine pets@3", group=models)
def lift_quarantine(version: VersionArgument, project: Project = None, as_json: Json = False) -> None:
    """Let a version serve again whose runs took too long."""
    with connected(project) as client:
        lifted = client.models.lift_quarantine(version)
    if as_json:
        print_json(lifted)
        return
    say(f"{lifted.name}@{lifted.version} serves again; it is {lifted.status}.")


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
        say(
            f"It was {_traffic(before)}; `tidepool promote {version.name}@{before.version} --alias {alias}` rolls back."
        )


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


def _lines(version: ModelVersion) -> Iterator[str]:
    yield f"{version.name}@{version.version} is {version.status}{f': {version.reason}' if version.reason else ''}"
    trained = f"trained on {version.dataset} " if version.dataset else ""
    yield f"  {trained}{moment(version.created_at)}, job {version.job}"
    if version.aliases:
        yield f"  answers as {', '.join(f'{version.name}@{alias}' for alias in version.aliases)}"
    if version.labels:
        yield f"  {len(version.labels)} classes: {listed(version.labels)}"
    if version.metrics:
        for split, metrics in (("test", version.metrics.test), ("validation", version.metrics.val)):
            if metrics:
                yield f"  {accuracy_line(metrics, split)}"
    for variant in version.variants:
        serves = ", serves" if variant.name == version.serving else ""
        yield f"  {variant.name}: {file_size(variant.size)}, {variant.images_per_second:,.0f} images a second{serves}"
    for warning in version.warnings:
        yield f"  Warning: {warning.message} What to do: {warning.advice}"
    if version.training_images and version.training_images.label_errors:
        yield f"  {version.training_images.label_error_count} images are probably labelled wrong, such as:"
        for image in version.training_images.label_errors[:10]:
            yield f"    {image.path or image.image}: labelled {image.label}, looks like {image.suggested}"


def _classes(version: ModelVersion, metrics: Metrics) -> Iterator[tuple[object, ...]]:
    """Yield the classes, the weakest first."""
    rows = zip(version.labels, metrics.confusion_matrix, strict=False)
    weakest = sorted(rows, key=lambda row: metrics.per_class[row[0]].recall if row[0] in metrics.per_class else 1)
    for label, counts in weakest:
        values = metrics.per_class.get(label)
        if values is None or not values.support:
            continue
        wrong = {other: count for other, count in zip(version.labels, counts, strict=False) if other != label and count}
        other = max(wrong, key=lambda name: wrong[name], default=None)
        confused = None if other is None else f"{other} ({wrong[other]})"
        yield label, values.support, percent(values.recall), percent(values.precision), confused


def _aliases(aliases: tuple[Alias, ...]) -> str:
    return ", ".join(f"{alias.alias} = {_traffic(alias)}" for alias in aliases)


def _traffic(alias: Alias) -> str:
    if len(alias.versions) == 1:
        return f"version {alias.version}"
    return " and ".join(f"{share} % version {version}" for version, share in alias.versions.items())
