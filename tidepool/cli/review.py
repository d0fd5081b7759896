"""`tidepool review`: the images whose label people confirm or correct."""

import shlex
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.reviews import LeasedReview, ReviewItem, ReviewProgress, SourceResult
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import ExitCode, WrongUsage, described
from tidepool.cli.output import Json, moment, note, percent, print_json, print_table, say
from tidepool.cli.root import command, group

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

review = group("review", "Review images: confirm or correct labels, and add images to the queue.")

SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}
ITEM = "01a227d9-6b38-7224-b718-edaa758450ee:01a227d9-6b6a-770a-8dc0-372372337389"

OfModel = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Only images of this model.")]
OfDataset = Annotated[
    str | None, typer.Option("--dataset", metavar="NAME", help="Only images of this dataset, like pets or pets@3.")
]


class Source(StrEnum):
    LABEL_ERRORS = "label-errors"
    PREDICTIONS = "predictions"
    DUPLICATES = "duplicates"


NEEDS = {Source.LABEL_ERRORS: ("--job", "--dataset"), Source.PREDICTIONS: ("--job",), Source.DUPLICATES: ("--dataset",)}


@command("status", "tidepool review status", group=review)
def status(project: Project = None, as_json: Json = False) -> None:
    """Show how many images wait and were reviewed, by whom, and how much people agree."""
    with connected(project) as client:
        progress = client.reviews.progress()
    if as_json:
        print_json(progress)
        return
    say(*_lines(progress))
    rows = (
        (who.reviewer_name, who.labels, who.not_any, who.skipped, moment(who.last_at)) for who in progress.reviewers
    )
    print_table(("reviewer", "labels", "none", "skipped", "last"), rows, numbers={"labels", "none", "skipped"})


@command(
    "next",
    "tidepool review next --open",
    "tidepool review next --count 20 --dataset pets --folder ./review",
    group=review,
)
def next_images(
    count: Annotated[int, typer.Option("--count", "-n", metavar="NUMBER", help="Number of images.", min=1, max=50)] = 1,
    model: OfModel = None,
    dataset: OfDataset = None,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the images are saved.")] = Path(),
    opened: Annotated[bool, typer.Option("--open", help="Open the images in this machine's viewer.")] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Get the next images to review, the most doubtful first, and save them here.

    They are yours for two minutes. Answer each with `tidepool review answer`.
    """
    with connected(project) as client:
        batch = client.reviews.next(count, model=model, dataset=dataset)
        files, code = _save_all(client, folder, batch.items)
    items = tuple(item for item in batch.items if item.id in files)
    if opened:
        for file in files.values():
            typer.launch(str(file))
    if as_json:
        print_json(batch.model_copy(update={"items": items}))
    else:
        if batch.reason:
            note(f"{batch.reason[:1].upper()}{batch.reason[1:]}.")
        for item in items:
            say(str(files[item.id]), *_about(item), _how_to_answer(item))
    if code:
        raise typer.Exit(code)


@command(
    "answer",
    f"tidepool review answer {ITEM} cat",
    f"tidepool review answer {ITEM} axolotl --new",
    f"tidepool review answer {ITEM} --not-any",
    group=review,
)
def answer(
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="The item and its lease, as `tidepool review next` shows it.")
    ],
    label: Annotated[str | None, typer.Argument(metavar="CLASS", help="What the image shows.")] = None,
    not_any: Annotated[bool, typer.Option("--not-any", help="It shows none of the classes.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="You cannot tell.")] = False,
    new: Annotated[bool, typer.Option("--new", help="The class is new, although it resembles another one.")] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Answer an image of `tidepool review next`."""
    item_id, _, lease = item.partition(":")
    if not lease:
        raise WrongUsage("Copy the item from `tidepool review next`; it has an id, a colon and a lease.")
    if (label is not None) + not_any + skip != 1:
        raise WrongUsage("Give a class, or --not-any, or --skip.")
    with connected(project) as client:
        reviewed = client.reviews.answer(item_id, label, lease=lease, not_any=not_any, skip=skip, new=new)
    print_json(reviewed) if as_json else say(f"{reviewed.id}: {_outcome(reviewed)}")


@command("undo", "tidepool review undo", group=review)
def undo(project: Project = None, as_json: Json = False) -> None:
    """Take back your last answer; repeat to go further back."""
    with connected(project) as client:
        item = client.reviews.undo()
    if as_json:
        print_json(item)
        return
    say(f"Took back your answer to {item.id}.")
    if item.lease is None:
        note("Somebody else reviews the image now.")
    else:
        say(*_about(item), _how_to_answer(item))


@command("ls", "tidepool review ls", "tidepool review ls --disagreement", group=review)
def ls(
    state: Annotated[str | None, typer.Option(metavar="STATE", help="open, done, skipped or expired.")] = None,
    model: OfModel = None,
    dataset: OfDataset = None,
    disagreement: Annotated[bool, typer.Option("--disagreement", help="Only images with different answers.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="NUMBER", help="Number of images.", min=1)] = 20,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """List images of the queue with people's answers, newest first."""
    if state not in {None, "open", "done", "skipped", "expired"}:
        raise WrongUsage(f"There is no state {state}; it is open, done, skipped or expired.")
    with connected(project) as client:
        chosen = {"model": model, "dataset": dataset, "disagreement": disagreement, "limit": limit}
        rows = list(client.reviews.list(state=state, **chosen))  # type: ignore[arg-type]
    if as_json:
        print_json(rows)
        return
    columns = ("item", "source", "state", "label now", "guess", "answers")
    print_table(columns, ((row.id, row.source, row.state, row.label_now, _best(row), _answers(row)) for row in rows))


@command(
    "add",
    "tidepool review add label-errors --dataset pets",
    "tidepool review add predictions --job 01a20ca3-1b53-75b4-9e31-a6c00b050a58 --below 0.6",
    "tidepool review add duplicates --dataset pets --votes 2",
    group=review,
)
def add(
    source: Annotated[Source, typer.Argument(metavar="SOURCE", help="label-errors, predictions or duplicates.")],
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="The dataset, like pets or pets@3.")] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="An evaluation for label-errors, or a batch prediction.")
    ] = None,
    below: Annotated[
        float, typer.Option(metavar="SCORE", help="Predictions with a score below this one.", min=0.001, max=1)
    ] = 0.6,
    limit: Annotated[int, typer.Option(metavar="NUMBER", help="The most images to add.", min=1, max=5000)] = 200,
    votes: Annotated[int, typer.Option(metavar="NUMBER", help="How many people must agree.", min=1, max=2)] = 1,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Put images into the queue, the most doubtful first.

    label-errors are images whose label is probably wrong, found by an evaluation (--job) or by the newest training on a
    dataset (--dataset). predictions are images of a batch prediction with a low score. duplicates are images that a
    dataset has several times, with different labels.
    """
    names = {"--job": job, "--dataset": dataset}
    usable = NEEDS[source]
    if [name for name, value in names.items() if value is not None] not in [[name] for name in usable]:
        raise WrongUsage(f"{source} needs {' or '.join(usable)}, and nothing else.")
    with connected(project) as client:
        if source is Source.LABEL_ERRORS:
            result = client.reviews.add_label_errors(evaluation=job, dataset=dataset, limit=limit, votes=votes)
        elif source is Source.PREDICTIONS:
            result = client.reviews.add_predictions(str(job), below=below, limit=limit, votes=votes)
        else:
            result = client.reviews.add_duplicates(str(dataset), limit=limit, votes=votes)
    print_json(result) if as_json else say(_added(result))


def _lines(progress: ReviewProgress) -> list[str]:
    counts = {state: progress.counts.get(state, 0) for state in ("open", "done", "skipped", "expired")}
    lines = [
        f"{counts['open']:,} images wait, people hold {progress.leased:,} of them",
        f"{counts['done']:,} are reviewed, {progress.not_applied:,} of them are in no dataset version yet",
        f"{counts['skipped']:,} were skipped, {counts['expired']:,} have expired",
    ]
    if progress.disagreements:
        lines.append(f"{progress.disagreements:,} have different answers: tidepool review ls --disagreement")
    if progress.kappa is not None:
        lines.append(f"Cohen's kappa is {progress.kappa:.2f}")
    return lines


def _save_all(client: "Client", folder: Path, items: tuple[LeasedReview, ...]) -> tuple[dict[str, Path], ExitCode]:
    """Save the images; return their files by the id of the item, and the exit code.

    Items whose image cannot be saved are given back, and the reason is printed.
    """
    from tidepool_client import ClientError

    files, code = {}, ExitCode.OK
    for item in items:
        try:
            files[item.id] = _saved(folder, item, client.reviews.image(item.id))
        except (ClientError, OSError) as error:
            message, code = described(error)
            note(f"{item.id}: {message}")
            with suppress(ClientError):
                client.reviews.extend(item, seconds=0)
    return files, code


def _saved(folder: Path, item: LeasedReview, file: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    suffix = next((suffix for start, suffix in SUFFIXES.items() if file.startswith(start)), ".img")
    path = folder / f"{item.id}{suffix}"
    path.write_bytes(file)
    return path


def _about(item: ReviewItem) -> list[str]:
    guess = ", ".join(f"{label} {percent(score)}" for label, score in item.guess)
    lines = [f"  {item.source.replace('_', ' ')} of {item.dataset or item.model or 'an image'}"]
    if item.label_now is not None:
        lines.append(f"  its label is {item.label_now}")
    return [*lines, f"  the model's guess: {guess}"] if guess else lines


def _how_to_answer(item: ReviewItem) -> str:
    return f"  tidepool review answer {item.id}:{item.lease} {shlex.quote(_best(item))}"


def _best(item: ReviewItem) -> str:
    return item.guess[0][0] if item.guess else "CLASS"


def _answers(item: ReviewItem) -> str:
    said = (("none" if one.not_any else "skipped") if one.label is None else one.label for one in item.answers)
    return ", ".join(f"{text} ({one.reviewer_name})" for text, one in zip(said, item.answers, strict=True))


def _outcome(item: ReviewItem) -> str:
    if item.state == "done":
        return "it shows none of the classes" if item.not_any else f"it is {item.label}"
    return "skipped" if item.state == "skipped" else "kept; the image goes to other people"


def _added(result: SourceResult) -> str:
    left = result.matching - result.added
    more = f"; {left:,} others are in the queue already, or over --limit" if left else ""
    return f"{result.added:,} of {result.matching:,} images are new in the queue{more}"
