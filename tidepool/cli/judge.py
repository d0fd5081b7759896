"""`tidepool evaluate` and `tidepool compare`: judge models on the same images."""

from typing import TYPE_CHECKING, Annotated

import typer

from contract.datasets import Split
from contract.evaluation import Metrics
from contract.jobs import Job
from contract.kinds.evaluate import EvaluateResult
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.following import follow
from tidepool.cli.output import Json, percent, print_json, print_table, say
from tidepool.cli.root import command

if TYPE_CHECKING:
    from tidepool_client import Client

Dataset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Dataset to judge on; the default is the one that the model was trained on."),
]
SplitOption = Annotated[Split, typer.Option(help="Split of the dataset.")]
COLUMNS = ("model", "accuracy", "95 % interval", "balanced", "macro F1", "loss")


@command("evaluate", "tidepool evaluate pets", "tidepool evaluate pets@3 --dataset new-photos")
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model: pets, pets@3 or pets@production.")],
    dataset: Dataset = None,
    split: SplitOption = Split.TEST,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Say how good a model is, and where it is weak.

    In plain words, on images that it has not seen; also which labels may be wrong.
    """
    with connected(project) as client:
        job = _evaluated(client, model, dataset, split)
    _print(job, as_json=as_json)


@command("compare", "tidepool compare pets@4 pets@production")
def compare(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model: pets, pets@3 or pets@production.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The model to compare it with.")],
    dataset: Dataset = None,
    split: SplitOption = Split.TEST,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Say which of two models is better.

    Both judge the same images; a test says whether the difference can be chance.
    """
    with connected(project) as client:
        job = _evaluated(client, model, dataset, split, compare_with=other)
    _print(job, as_json=as_json)


def _evaluated(client: "Client", model: str, dataset: str | None, split: Split, **more: str) -> Job:
    if dataset is None:
        dataset = client.models.version(model).dataset
    if dataset is None:
        raise WrongUsage(f"{model} was not trained here. Name the dataset to judge it on: --dataset NAME.")
    spec = {"model": model, "dataset": dataset, "split": split.value, **more}
    return follow(client, client.jobs.create("evaluate", spec))


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    report = EvaluateResult.model_validate(job.result)
    say(*report.summary, *(f"Warning: {warning}" for warning in report.warnings))
    if report.baseline:
        rows = ((report.model, report.metrics), (report.baseline.model, report.baseline.metrics))
        print_table(COLUMNS, (_row(name, metrics) for name, metrics in rows), numbers=COLUMNS[1:])


def _row(name: str, metrics: Metrics) -> tuple[str, ...]:
    low, high = metrics.accuracy_interval or (None, None)
    interval = f"{percent(low)} to {percent(high)}"
    shares = (percent(metrics.balanced_accuracy), percent(metrics.macro_f1))
    return (name, percent(metrics.accuracy), interval, *shares, f"{metrics.loss:.3f}")
