"""`tidepool upload`: send a folder or an archive, or name an S3 prefix, then say what was made of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from contract.choices import Choice
from contract.datasets import DatasetWarning, Rejected
from contract.kinds.preprocess import PreprocessResult
from contract.references import Reference
from tidepool.demo.progress import ProgressDisplay
from tidepool_client import Client

S3 = "s3://"
MOST_CLASSES = 20  # that are listed
MOST_EXAMPLES = 3


def upload(console: Console, client: Client, source: str, name: str, spec: dict[str, Any] | None) -> None:
    """Upload a path or name an S3 prefix, wait for the preprocessing, and print its result; raises UserFacingError."""
    with ProgressDisplay(console) as display:
        if source.startswith(S3):
            job = client.datasets.create(name, source, spec=spec)
        else:
            with display.step("Uploading") as update:
                job = client.datasets.upload(
                    name,
                    Path(source),
                    spec=spec,
                    on_bytes=lambda sent, size: update(sent / max(1, size), f"{_size(sent)} of {_size(size)}"),
                )
        with display.step("Preprocessing") as update:
            job = client.jobs.wait(
                job.id, lambda job: update(job.progress.fraction, job.progress.message or str(job.state))
            )
    result = PreprocessResult.model_validate(job.result)
    print_result(console, result, _rejected_files(client, result.dataset) if result.rejected else ())


def print_result(console: Console, result: PreprocessResult, rejected: Sequence[Rejected] = ()) -> None:
    """Print classes, counts, files that were left out, warnings and decisions."""
    counts = result.counts
    channels, height, width = result.shape
    lines = [
        f"Dataset {result.dataset} is ready.",
        f"  {len(result.classes)} classes: {_listed(result.classes)}",
        f"  {counts.train} images to train, {counts.val} to validate, {counts.test} to test",
        f"  prepared as {width} by {height} pixels in {'color' if channels > 1 else 'gray'}",
    ]
    if result.rejected:
        lines.append(f"  {'1 file was' if result.rejected == 1 else f'{result.rejected:,} files were'} left out:")
        lines += [f"    {rejected_file.file}: {rejected_file.reason}" for rejected_file in rejected[:MOST_EXAMPLES]]
        if result.rejected > MOST_EXAMPLES:
            lines.append(f"    all of them: GET {_path(Reference.parse(result.dataset))}, under rejected_files")
    for line in (*lines, *_warnings(result.warnings), *_decisions(result.decisions)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _rejected_files(client: Client, dataset: str) -> Sequence[Rejected]:
    return client.datasets.version(dataset).rejected_files


def _path(reference: Reference) -> str:
    return f"/v1/datasets/{reference.name}/versions/{reference.version}"


def _warnings(warnings: Sequence[DatasetWarning]) -> list[str]:
    lines = ["Warnings:"] if warnings else []
    for warning in warnings:
        more = "" if warning.count <= MOST_EXAMPLES else ", …"
        examples = f" ({', '.join(warning.examples[:MOST_EXAMPLES])}{more})" if warning.examples else ""
        lines += [f"  {warning.message}{examples}", f"    What to do: {warning.advice}"]
    return lines


def _decisions(decisions: Sequence[Choice]) -> list[str]:
    lines = ["Decided from the images:"] if decisions else []
    return lines + [f"  {choice.what} = {_value(choice)}, because {choice.because}" for choice in decisions]


def _value(choice: Choice) -> str:
    if choice.what == "image.size" and isinstance(choice.value, list | tuple):
        height, width = choice.value
        return f"{width} wide and {height} high"
    return str(choice.value)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
    return ", ".join(names[:MOST_CLASSES]) + more


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count >> 10} KiB"
