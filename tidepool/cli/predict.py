"""`tidepool predict`: classify files and folders of images."""

import csv
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction
from contract.references import REFERENCE_PATTERN
from tidepool.cli.classify import Classify, FileResult, classify_files
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import ExitCode, WrongUsage
from tidepool.cli.following import progress
from tidepool.cli.image_files import find_images
from tidepool.cli.output import Json, note, percent, print_json_line, say
from tidepool.cli.root import command

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

DEADLINE_S = 60.0  # of a request; the first one may have to wait for a replica to start
MOST_PATH = 60  # columns that paths may take on a line of their own results


@command(
    "predict",
    "tidepool predict my-photos ./new/*.jpg",
    "tidepool predict my-photos@production ./new --csv new.csv --top-k 3",
)
def predict(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name of the model, or a version of it: pets, pets@3, pets@production."),
    ],
    paths: Annotated[list[Path], typer.Argument(help="Image files, and folders of them at any depth.", metavar="FILE")],
    csv_file: Annotated[
        str | None, typer.Option("--csv", help="Write path, class and score to this file; - is stdout.", metavar="FILE")
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", metavar="NUMBER", help="Number of classes for each image.", min=1, max=1000)
    ] = 1,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Classify image files.

    Results come in the order of the files. Files that are not images are reported on stderr and do not stop the others;
    the exit code is 3 then. With --json, each file is a line: {"path", "predictions"} or {"path", "error"}.
    """
    if as_json and csv_file == "-":
        raise WrongUsage("--json and --csv - both write to stdout; leave one of them out.")
    if not re.fullmatch(REFERENCE_PATTERN, model):
        raise WrongUsage(f"{model} is not the name of a model, which comes first: tidepool predict MODEL FILE…")
    files = find_images(paths)
    started, done, rejected = time.monotonic(), 0, 0
    try:
        with connected(project) as client:
            results = classify_files(files.paths, _classify(client, model, top_k))
            first = next(results)  # before a file is overwritten: there may be no such model
            with _sink(csv_file, top_k, files.paths, as_json=as_json) as write:
                for result in _counted(chain([first], results), len(files.paths), shown=csv_file not in {None, "-"}):
                    write(result)
                    done += 1
                    if result.error:
                        rejected += 1
                        if not as_json:
                            note(f"{result.path}: {result.error.message}")
    except KeyboardInterrupt:
        note(f"Stopped after {done:,} of {len(files.paths):,} images.")
        raise
    _summarize(done - rejected, rejected, time.monotonic() - started, csv_file)
    if skipped := files.note():
        note(skipped)
    if rejected:
        raise typer.Exit(ExitCode.REFUSED)


def _classify(client: "Client", model: str, top_k: int) -> Classify:
    from tidepool_client import DeadlineExceeded, TooLarge

    def classify(images: Sequence[bytes]) -> Sequence[ImageResult]:
        try:
            return client.models.predict_many(model, images, top_k=top_k, timeout_s=DEADLINE_S)
        except (TooLarge, DeadlineExceeded) as error:
            if len(images) > 1:
                return [result for image in images for result in classify([image])]
            return [ImageResult(error=JobError(code=error.code, message=error.message))]

    return classify


class _Sink:
    """Writes results as lines for people, as JSON lines, or as CSV."""

    def __init__(self, paths: Sequence[Path], top_k: int, *, as_json: bool, table: TextIO | None) -> None:
        self._as_json = as_json
        self._csv: Any = None if table is None else csv.writer(table, lineterminator="\n")
        self._width = min(MOST_PATH, max(len(str(path)) for path in paths))
        self._top_k = top_k
        if self._csv:
            more = (name for k in range(2, top_k + 1) for name in (f"class_{k}", f"score_{k}"))
            self._csv.writerow(("path", "class", "score", *more))

    def __call__(self, result: FileResult) -> None:
        if self._as_json:
            print_json_line(result.model_dump(mode="json", exclude_none=True))
        if result.predictions is None:
            return
        if self._csv:
            self._csv.writerow((result.path, *_cells(result.predictions)))
        elif not self._as_json:
            best = ", ".join(f"{prediction.label} {percent(prediction.score)}" for prediction in result.predictions)
            say(f"{result.path:<{self._width}}  {best}")


def _cells(predictions: Sequence[Prediction]) -> Iterator[str]:
    for prediction in predictions:
        yield from (prediction.label, f"{prediction.score:.6f}")


@contextmanager
def _sink(csv_file: str | None, top_k: int, paths: Sequence[Path], *, as_json: bool) -> Iterator[_Sink]:
    if csv_file in {None, "-"}:
        yield _Sink(paths, top_k, as_json=as_json, table=sys.stdout if csv_file else None)
        return
    with Path(str(csv_file)).open("w", encoding="utf-8", newline="") as table:
        yield _Sink(paths, top_k, as_json=as_json, table=table)


def _counted(results: Iterator[FileResult], total: int, *, shown: bool) -> Iterator[FileResult]:
    """Pass the results on; show how many there are if they are not printed."""
    if not shown:
        yield from results
        return
    with progress() as display, display.step("Classifying") as update:
        for count, result in enumerate(results, 1):
            yield result
            update(count / total, f"{count:,} of {total:,} images")


def _summarize(classified: int, rejected: int, seconds: float, csv_file: str | None) -> None:
    images = "1 image" if classified == 1 else f"{classified:,} images"
    where = f", written to {csv_file}" if csv_file not in {None, "-"} else ""
    refused = f"; {'1 file was' if rejected == 1 else f'{rejected:,} files were'} rejected" if rejected else ""
    if classified + rejected > 1 or where:
        note(f"{images} classified in {seconds:.1f} s{where}{refused}.")
