"""`tidepool models`"""

from collections.abc import Iterator
from typing import Annotated

import typer

from contract.catalog import Alias, ModelVersion
from contract.evaluation import Metrics
from tidepool.cli.connection import Project, connected
from tidepool.cli.output import Json, file_size, moment, note, percent, print_json, print_table, say
from tidepool.cli.root import command, group
from tidepool.cli.train import accuracy_line
from tidepool.cli.upload import decision_lines, listed

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


@command("lift-quarantine", "tidepool models lift-quarantine pets@3", group=models)
def lift_quarantine(version: VersionArgument, project: Project = None, as_json: Json = False) -> None:
    """Let a version serve again whose runs took too long."""
    with connected(project) as client:
        lifted = client.models.lift_quarantine(version)
    if as_json:
        print_json(lifted)
        return
    say(f"{lifted.name}@{lifted.version} serves again; it is {lifted.status}.")


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
    return ", ".join(f"{alias.alias} = {traffic(alias)}" for alias in aliases)


def traffic(alias: Alias) -> str:
    if len(alias.versions) == 1:
        return f"version {alias.version}"
    return " and ".join(f"{share} % version {version}" for version, share in alias.versions.items())
