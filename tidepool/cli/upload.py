"""`tidepool upload`: send a folder or an archive, or name an S3 prefix, then say what was made of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from contract.choices import Choice
from contract.datasets import DatasetWarning
from contract.kinds.preprocess import PreprocessResult
from tidepool.client import Client
from tidepool.demo.progress import ProgressDisplay

S3 = "s3://"
MOST_CLASSES = 20  # that are listed
MOST_EXAMPLES = 3


def upload(console: Console, client: Client, source: str, name: str, spec: dict[str, Any] | None) -> None:
    """Upload a path or name an S3 prefix, wait for the preprocessing, and print its result; raises UserFacingError."""
    with ProgressDisplay(console) as display:
        if source.startswith(S3):
            job = client.prepare_dataset(name, source, spec=spec)
        else:
            with display.step("Uploading") as update:
                job = client.upload_dataset(
                    name,
                    Path(source),
                    spec=spec,
                    on_bytes=lambda sent, size: update(sent / max(1, size), f"{_size(sent)} of {_size(size)}"),
                )
        with display.step("Preprocessing") as update:
            job = client.wait(job.id, lambda job: update(job.progress.fraction, job.progress.message or str(job.state)))
    print_result(console, PreprocessResult.model_validate(job.result))


def print_result(console: Console, result: PreprocessResult) -> None:
    """Print classes, counts, warnings and decisions."""
    counts = result.counts
    channels, height, width = result.shape
    lines = [
        f"Dataset {result.dataset} is ready.",
        f"  {len(result.classes)} classes: {_listed(result.classes)}",
        f"  {counts.train} images to train, {counts.val} to validate, {counts.test} to test",
        f"  prepared as {width} by {height} pixels in {'color' if channels > 1 else 'gray'}",
    ]
    if result.rejected:
        lines.append(f"  {result.rejected} files were left out; the dataset's page says why")
    for line in (*lines, *_warnings(result.warnings), *_decisions(result.decisions)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _warnings(warnings: Sequence[DatasetWarning]) -> list[str]:
    lines = ["Warnings:"] if warnings else []
    for warning in warnings:
        more = "" if warning.count <= MOST_EXAMPLES else ", …"
        examples = f" ({', '.join(warning.examples[:MOST_EXAMPLES])}{more})" if warning.examples else ""
        lines += [f"  {warning.message}{examples}", f"    What to do: {warning.advice}"]
    return lines


def _decisions(decisions: Sequence[Choice]) -> list[str]:
    lines = ["Decided from the images:"] if decisions else []
    return lines + [f"  {choice.what} = {_value(choice.value)}, because {choice.because}" for choice in decisions]


def _value(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
    return ", ".join(names[:MOST_CLASSES]) + more


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count >> 10} KiB"
