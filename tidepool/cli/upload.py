"""`tidepool upload`: send a folder or an archive, or name an S3 prefix, then say what was made of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.choices import Choice
from contract.datasets import DatasetWarning, Rejected
from contract.jobs import Job
from contract.kinds.preprocess import PreprocessResult
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import follow, progress
from tidepool.cli.output import Json, file_size, note, print_json, say
from tidepool.cli.root import command

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

S3 = "s3://"
MOST_CLASSES = 20  # that are listed
MOST_EXAMPLES = 3

Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the dataset; the default is that of the folder.")
]
ClassLevel = Annotated[
    str | None,
    typer.Option(metavar="LEVEL", help="The folder that names the class: 1 is the first, `leaf` the innermost."),
]
LabelColumn = Annotated[str | None, typer.Option(metavar="NAME", help="The column of a CSV that names the class.")]
PathColumn = Annotated[str | None, typer.Option(metavar="NAME", help="The column of a CSV that names the image.")]


@command("upload", "tidepool upload ./my-photos", "tidepool upload photos.zip --name pets")
def upload(
    source: Annotated[
        str, typer.Argument(help="Folder of images, a zip or tar of one, or s3://bucket/prefix.", metavar="PATH")
    ],
    name: Name = None,
    class_level: ClassLevel = None,
    label_column: LabelColumn = None,
    path_column: PathColumn = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Upload images as a dataset.

    They become the next version of the dataset, and what was made of them is shown. A folder has a folder for each
    class: my-photos/cat/1.jpg, my-photos/dog/2.jpg. Hidden files are left out.
    """
    require_source(source)
    spec = layout_spec(class_level, label_column, path_column)
    with connected(project) as client:
        job = prepare(client, source, name, spec)
        if as_json:
            print_json(job)
            return
        print_prepared(client, job)
    dataset = PreprocessResult.model_validate(job.result).dataset
    say("Next:", f"  tidepool train {dataset.partition('@')[0]} --follow")


def require_source(source: str) -> None:
    """Raise WrongUsage if a path does not exist, or is empty, which would be the current folder."""
    what = "Name a folder of images, or a zip or tar of one."
    if not source:
        raise WrongUsage(f"The path is empty. {what}")
    if not source.startswith(S3) and not Path(source).exists():
        raise WrongUsage(f"{source} does not exist. {what}")


def layout_spec(class_level: str | None, label_column: str | None, path_column: str | None) -> dict[str, Any]:
    level = int(class_level) if class_level and class_level.isdecimal() else class_level
    named = {"class_level": level, "label_column": label_column, "path_column": path_column}
    layout = {key: value for key, value in named.items() if value is not None}
    return {"layout": layout} if layout else {}


def prepare(client: "Client", source: str, name: str | None, spec: Mapping[str, Any], then: str = "") -> Job:
    """Upload a path or name an S3 prefix, wait until the images are prepared, and return the job.

    `then` is the command to type after the job, if Ctrl-C stops the waiting; `{name}` in it is that of the dataset.
    """
    from tidepool_client.folder import dataset_name

    name = name or dataset_name(Path(source))
    if source.startswith(S3):
        job: Job = client.datasets.create(name, source, spec=spec)
    else:
        with progress() as display, display.step("Uploading") as update:

            def on_bytes(sent: int, size: int) -> None:
                update(sent / max(1, size), f"{file_size(sent)} of {file_size(size)}")

            job = _uploaded(client, name, Path(source), spec, on_bytes)
    return follow(client, job, *([then.format(name=name)] if then else []))


def _uploaded(
    client: "Client", name: str, source: Path, spec: Mapping[str, Any], on_bytes: Callable[[int, int], None]
) -> Job:
    try:
        return client.datasets.upload(name, source, spec=spec or None, on_bytes=on_bytes)
    except KeyboardInterrupt:
        note("The upload was stopped. The same command within a day goes on with what was not sent.")
        raise


def print_prepared(client: "Client", job: Job, *, decisions: bool = True) -> None:
    """Print classes, counts, files that were left out, warnings; `decisions` adds what was decided from the images."""
    result = PreprocessResult.model_validate(job.result)
    rejected = client.datasets.version(result.dataset).rejected_files if result.rejected else ()
    counts = result.counts
    channels, height, width = result.shape
    say(
        f"Dataset {result.dataset} is ready.",
        f"  {len(result.classes)} classes: {listed(result.classes)}",
        f"  {counts.train:,} images to train, {counts.val:,} to validate, {counts.test:,} to test",
        f"  prepared as {width} by {height} pixels in {'color' if channels > 1 else 'gray'}",
        *_rejected(result, rejected),
        *warning_lines(result.warnings),
        *(decision_lines(result.decisions) if decisions else ()),
    )


def _rejected(result: PreprocessResult, rejected: Sequence[Rejected]) -> list[str]:
    if not result.rejected:
        return []
    lines = [f"  {'1 file was' if result.rejected == 1 else f'{result.rejected:,} files were'} left out:"]
    lines += [f"    {file.file}: {file.reason}" for file in rejected[:MOST_EXAMPLES]]
    return lines + ([f"    all of them: tidepool datasets show {result.dataset}"] if rejected[MOST_EXAMPLES:] else [])


def warning_lines(warnings: Sequence[DatasetWarning]) -> list[str]:
    lines = ["Warnings:"] if warnings else []
    for warning in warnings:
        more = "" if warning.count <= MOST_EXAMPLES else ", …"
        examples = f" ({', '.join(warning.examples[:MOST_EXAMPLES])}{more})" if warning.examples else ""
        lines += [f"  {warning.message}{examples}", f"    What to do: {warning.advice}"]
    return lines


def decision_lines(decisions: Sequence[Choice]) -> list[str]:
    lines = ["Decided from the images:"] if decisions else []
    return lines + [f"  {choice.what} = {_value(choice)}, because {choice.because}" for choice in decisions]


def _value(choice: Choice) -> str:
    if choice.what == "image.size" and isinstance(choice.value, list | tuple):
        height, width = choice.value
        return f"{width} wide and {height} high"
    return str(choice.value)


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
    return ", ".join(names[:MOST_CLASSES]) + more
