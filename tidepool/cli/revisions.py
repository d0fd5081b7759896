"""`tidepool datasets`: versions that are made from another one, what differs between them, and exports."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from contract.jobs import Job
from contract.kinds.revise import ReviseResult
from contract.references import Reference
from contract.revisions import ExportFormat, ImageDiff, VersionDiff
from tidepool.cli.connection import Project, connected
from tidepool.cli.datasets import datasets
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import follow
from tidepool.cli.image_files import hash_of
from tidepool.cli.output import Json, note, print_json, print_table, say
from tidepool.cli.root import command

MOST_SHOWN = 20  # images of a diff
EXTENSIONS: dict[ExportFormat, str] = {
    "imagefolder": "zip",
    "coco": "coco.zip",
    "csv": "csv",
    "labelstudio": "labelstudio.json",
}

Parent = Annotated[
    str, typer.Argument(metavar="DATASET", help="The version to start from, like pets@2; pets means the newest.")
]
Images = Annotated[
    list[str], typer.Argument(metavar="SHA256|FILE...", help="Images: the SHA-256 of a file, or the file itself.")
]
OpenTest = Annotated[bool, typer.Option("--open-test", help="Also change images of the test split.")]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Remove classes that lose their last image.")]
Version = Annotated[str, typer.Argument(metavar="DATASET@VERSION", help="A version, like pets@3.")]


@command(
    "relabel",
    "tidepool datasets relabel pets@2 dog cat-17.jpg",
    f"tidepool datasets relabel pets dog {'9' * 64}",
    group=datasets,
)
def relabel(
    dataset: Parent,
    label: Annotated[str, typer.Argument(metavar="CLASS", help="The class of the images, also a new one.")],
    images: Images,
    open_test: OpenTest = False,
    drop_empty: DropEmpty = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Make a version in which images have another label; the old version stays.

    Files are hashed here and not sent.
    """
    changes = [{"sha256": hash_of(image), "label": label} for image in images]
    _revise(dataset, {"changes": changes} | _options(open_test, drop_empty), project, as_json)


@command("remove", "tidepool datasets remove pets@2 cat-17.jpg", group=datasets)
def remove(
    dataset: Parent,
    images: Images,
    open_test: OpenTest = False,
    drop_empty: DropEmpty = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Make a version without some images; the old version stays.

    `tidepool images rm` erases an image everywhere.
    """
    changes = [{"sha256": hash_of(image), "remove": True} for image in images]
    _revise(dataset, {"changes": changes} | _options(open_test, drop_empty), project, as_json)


@command("revise", "tidepool datasets revise pets", "tidepool datasets revise pets@3 --open-test", group=datasets)
def revise(
    dataset: Parent,
    open_test: OpenTest = False,
    drop_empty: DropEmpty = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Make a version with all answers of the review queue that are in no version yet."""
    _revise(dataset, {"reviews": "all"} | _options(open_test, drop_empty), project, as_json)


@command("import-labels", "tidepool datasets import-labels pets@3 project-1.json", group=datasets)
def import_labels(
    dataset: Parent,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Label Studio's JSON or CSV, or a CSV: sha256,label.")],
    open_test: OpenTest = False,
    drop_empty: DropEmpty = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Make a version with the labels of a file from Label Studio or another tool.

    Images are found by their SHA-256, or else by the ends of their paths.
    """
    with connected(project) as client:
        job = client.datasets.import_labels(dataset, file, **_options(open_test, drop_empty))
        _print_result(follow(client, job), as_json)


@command("diff", "tidepool datasets diff pets@4 3", "tidepool datasets diff pets@4 pets@3 --json", group=datasets)
def diff(
    version: Version,
    base: Annotated[str, typer.Argument(metavar="VERSION", help="The version to compare it with, like 2 or pets@2.")],
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show which images were added, removed or relabelled since another version."""
    number = _number_of(base, version.partition("@")[0])
    with connected(project) as client:
        difference = client.datasets.diff(version, number)
    if as_json:
        print_json(difference)
        return
    say(_summary(difference))
    rows = [(image.change, _before(image), _after(image), image.path) for image in difference.items[:MOST_SHOWN]]
    if rows:
        print_table(("change", f"in {difference.base}", f"in {difference.version}", "image"), rows)
    left = difference.added + difference.removed + difference.relabelled + difference.moved - len(rows)
    if left:
        note(f"{left} more images differ; --json prints a page of them, the console shows all.")


def _number_of(text: str, dataset: str) -> int:
    """Return the version that `3` or `pets@3` names; raises WrongUsage, also for a version of another dataset."""
    name, _, number = text.rpartition("@")
    if name not in ("", dataset):
        raise WrongUsage(f"{text} is not of the dataset {dataset}. Only versions of the same dataset can be compared.")
    if not number.isdecimal() or not int(number):
        raise WrongUsage(f"{text} names no version. Write its number, or the version like {dataset}@3.")
    return int(number)


@command("export", "tidepool datasets export pets@3", "tidepool datasets export pets@3 --format coco", group=datasets)
def export(
    version: Annotated[str, typer.Argument(metavar="DATASET", help="The version, like pets@3; pets means the newest.")],
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(get_args(ExportFormat))}.")
    ] = "imagefolder",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file; named after the version by default."),
    ] = None,
    image_root: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="For labelstudio: what comes before split/class/file of an image."),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="For labelstudio: a batch prediction or evaluation whose answers to add."),
    ] = None,
    project: Project = None,
) -> None:
    """Write a version to a file: a zip with its images, or a table of its labels.

    `imagefolder` is a zip with split/class/file, `coco` one with annotations, `csv` and `labelstudio` have the labels
    without images.
    """
    if form not in EXTENSIONS:
        raise WrongUsage(f"{form} is no format; the formats are {', '.join(EXTENSIONS)}.")
    chosen: ExportFormat = form
    with connected(project) as client:
        dataset = client.datasets.version(version)
        reference = f"{dataset.name}@{dataset.version}"
        target = output or Path(f"{dataset.name}-{dataset.version}.{EXTENSIONS[chosen]}")
        options = {"image_root": image_root, "predictions": predictions}
        client.datasets.export(reference, target, format=chosen, **options)
    note(f"Wrote {reference} to {target}.")


def _options(open_test: bool, drop_empty: bool) -> dict[str, Any]:
    return ({"test_split": "open"} if open_test else {}) | ({"empty_classes": "drop"} if drop_empty else {})


def _revise(dataset: str, options: dict[str, Any], project: str | None, as_json: bool) -> None:
    with connected(project) as client:
        _print_result(follow(client, client.datasets.revise(dataset, **options)), as_json)


def _print_result(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    result = ReviseResult.model_validate(job.result)
    revision = result.revision
    if result.dataset == revision.parent:
        say(f"The {result.reviews} answers confirm the labels of {result.dataset}, so there is no new version.")
        return
    say(
        f"{result.dataset}, from {revision.parent}: {revision.relabelled:,} relabelled, {revision.added:,} added, "
        f"{revision.removed:,} removed."
    )
    if revision.held_back:
        note(f"{revision.held_back:,} changes are of the frozen test split and were left out; --open-test makes them.")
    if revision.unmatched:
        note(f"{revision.unmatched:,} rows of the file were not used; `tidepool jobs logs {job.id}` names some.")
    version = Reference.parse(revision.parent).version
    say("Next:", f"  tidepool datasets diff {result.dataset} {version}")


def _summary(difference: VersionDiff) -> str:
    return (
        f"{difference.version} against {difference.base}: {difference.added:,} added, {difference.removed:,} removed, "
        f"{difference.relabelled:,} relabelled, {difference.moved:,} in another split, {difference.unchanged:,} equal."
    )


def _before(image: ImageDiff) -> str:
    return f"{image.old_split} {image.old_label}" if image.old_label is not None else ""


def _after(image: ImageDiff) -> str:
    return f"{image.split} {image.label}" if image.label is not None else ""
