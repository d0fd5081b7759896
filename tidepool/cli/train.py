"""`tidepool train`: from a folder or a dataset to a model."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.evaluation import Metrics
from contract.jobs import Job
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from contract.references import REFERENCE_PATTERN, Reference
from contract.search import MOST_MEMBERS
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import follow
from tidepool.cli.output import Json, note, percent, print_json, say
from tidepool.cli.root import command
from tidepool.cli.searching import print_folds, print_study, search_of
from tidepool.cli.upload import S3, ClassLevel, LabelColumn, PathColumn, layout_spec, prepare, print_prepared

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick


@command(
    "train",
    "tidepool train ./my-photos",
    "tidepool train pets --follow --minutes 10",
    "tidepool train pets --trials 16 --over optimizer.lr=1e-4..1e-1:log --over architecture.name=cnn,resnet18",
    "tidepool train pets --folds 5",
)
def train(
    source: Annotated[
        str,
        typer.Argument(help="A folder or an archive of images, or the name of a dataset.", metavar="FOLDER|DATASET"),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the model; by default, that of the folder or the dataset."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Train as well as this time allows; about one minute by default.", min=0.1),
    ] = None,
    following: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            help="Wait for the end and show the progress; the default for a folder.",
            show_default=False,
        ),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="""Other fields of the training as JSON, such as '{"init_from": "lite2"}'."""
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Search: train this many times with different settings.", min=1)
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUES", help="What a search tries: LOW..HIGH, LOW..HIGH:log, or VALUE,VALUE."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What decides the best trial: val.accuracy, val.macro_f1 or val.loss."),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="The model of a search may average the answers of up to this many trials.",
            min=1,
            max=MOST_MEMBERS,
        ),
    ] = None,
    search: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A search as a JSON file; the options above change it.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Cross-validate on this many parts, with as many more trainings.",
            min=2,
        ),
    ] = None,
    class_level: ClassLevel = None,
    label_column: LabelColumn = None,
    path_column: PathColumn = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Train a model on a folder of photos or a dataset.

    A folder is uploaded first, as by `tidepool upload`. What you do not set is decided from the images. Ctrl-C only
    stops showing the progress; the training goes on.
    """
    searched = search_of(search, trials, over or [], objective, ensemble, minutes)
    fields = _fields(spec, minutes if searched is None else None)
    fields |= {name: value for name, value in (("search", searched), ("folds", folds)) if value is not None}
    with connected(project) as client:
        local = _is_local(client, source)
        dataset = source
        if local:
            layout = layout_spec(class_level, label_column, path_column)
            prepared = prepare(client, source, name, layout, then="tidepool train {name} --follow")
            dataset = PreprocessResult.model_validate(prepared.result).dataset
            if not as_json:
                print_prepared(client, prepared, decisions=False)
        job: Job = client.jobs.create("train", {"dataset": dataset, "model": name or _name(dataset), **fields})
        follows = local if following is None else following
        if follows:
            job = follow(client, job)
    if as_json:
        print_json(job)
    elif follows:
        print_trained(TrainResult.model_validate(job.result))
    else:
        say(f"Training started: job {job.id}.", "Next:", f"  tidepool jobs logs -f {job.id}")


def print_trained(result: TrainResult) -> None:
    """Print how good a model is, where it is weak, and what to type next."""
    name = result.model.partition("@")[0]
    if result.study is not None:
        print_study(result.study)
    say(f"Model {result.model} is ready.", *_judged(result))
    if result.folds is not None:
        print_folds(result.folds)
    next_steps = {
        f"tidepool predict {name} ./new/*.jpg": "classify other photos",
        f"tidepool models show {result.model}": "see how good it is, class by class",
        f"tidepool promote {result.model}": f"let it answer as {name}@production",
    }
    width = max(map(len, next_steps))
    say("Next:", *(f"  {line:<{width}}  {purpose}" for line, purpose in next_steps.items()))


def accuracy_line(metrics: Metrics, split: str) -> str:
    count = sum(map(sum, metrics.confusion_matrix))
    line = f"right on {percent(metrics.accuracy)} of {count:,} {split} images"
    if metrics.accuracy_interval is None:
        return line
    low, high = metrics.accuracy_interval
    return f"{line}; on other images like these, expect {percent(low)} to {percent(high)}"


def _judged(result: TrainResult) -> list[str]:
    split, metrics = ("test", result.metrics.test) if result.metrics.test else ("validation", result.metrics.val)
    if metrics is None:
        return ["  The accuracy was not measured: there are no test or validation images."]
    lines = [f"  {accuracy_line(metrics, split)}"]
    tested = {label: values for label, values in metrics.per_class.items() if values.support}
    if len(tested) > 1:
        label, weakest = min(tested.items(), key=lambda item: item[1].recall)
        lines.append(f"  weakest class: {label}, right on {percent(weakest.recall)} of {weakest.support:,}")
    images = result.training_images
    if images and images.label_error_count:
        lines.append(f"  {images.label_error_count:,} training images are probably labelled wrong")
    return lines


def _is_local(client: "Client", source: str) -> bool:
    """Return whether the source is a path, and not the name of a dataset on the server.

    A name without a slash that is both is the dataset. Raises WrongUsage if it is neither.
    """
    from tidepool_client import NotFound

    path = Path(source)
    if path.is_file() or not re.fullmatch(REFERENCE_PATTERN, source):
        if not source.startswith(S3) and not path.exists():
            raise WrongUsage(f"{source} does not exist. Name a folder of images, or a dataset that was uploaded.")
        return True
    try:
        client.datasets.get(source.partition("@")[0])
    except NotFound:
        if path.is_dir():
            return True
        raise WrongUsage(
            f"There is no dataset {source} on the server, and no folder {source} here. `tidepool datasets ls` lists "
            "the datasets."
        ) from None
    if path.is_dir():
        note(f"Training on the dataset {source} that was uploaded before; write ./{source} to upload the folder again.")
    return False


def _fields(spec: str | None, minutes: float | None) -> dict[str, Any]:
    try:
        fields = json.loads(spec or "{}")
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise WrongUsage("""--spec is not a JSON object; write it like '{"epochs": 20}'.""")
    return fields | ({} if minutes is None else {"budget": {"minutes": minutes}})


def _name(dataset: str) -> str:
    return Reference.parse(dataset).name
