"""The one readable page at the end of the demonstration."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from contract.catalog import DatasetVersion
from contract.datasets import Split
from contract.training import Metrics
from tidepool.demo.road import Guess, Journey, Step

WIDEST_MATRIX = 20  # classes
COLUMN = 4  # letters of a class name over the confusion matrix


class Section(NamedTuple):
    title: str
    note: str = ""
    table: Table | None = None


def print_summary(console: Console, journey: Journey, seconds: Mapping[str, float]) -> None:
    """Print all that came out of the road, and the seconds of each of its steps."""
    test = journey.trained.metrics.test
    sections = [_classes(journey.dataset), _epochs(journey), _accuracy(journey, test)]
    if test and len(journey.model.labels) <= WIDEST_MATRIX:
        sections.append(_confusion(journey.model.labels, test.confusion_matrix))
    sections += [_guesses(journey.guesses), _batch(journey), _seconds(journey, seconds)]
    console.print()
    console.rule("From a folder of pictures to a served model")
    for section in sections:
        console.print(f"\n[bold]{section.title}[/]", highlight=False, soft_wrap=True)
        if section.table:
            console.print(section.table, highlight=False)
        if section.note:
            console.print(section.note, style="dim", highlight=False, soft_wrap=True)


def _classes(dataset: DatasetVersion) -> Section:
    table = _table("class", *Split)
    for label in dataset.classes:
        table.add_row(escape(label), *(str(dataset.counts_by_class.get(split, {}).get(label, 0)) for split in Split))
    table.add_section()
    table.add_row("all", *(str(getattr(dataset.counts, split)) for split in Split))
    title = f"Data set {dataset.name}@{dataset.version}: {len(dataset.classes)} classes"
    return Section(title, f"{dataset.rejected} files rejected", table)


def _epochs(journey: Journey) -> Section:
    table = _table("epoch", "train loss", "val loss", "val accuracy", "seconds")
    for epoch in journey.trained.epochs:
        best = epoch.epoch == journey.trained.best_epoch
        table.add_row(
            f"{epoch.epoch}{' *' if best else ''}",
            f"{epoch.train_loss:.3f}",
            "-" if epoch.val_loss is None else f"{epoch.val_loss:.3f}",
            "-" if epoch.val_accuracy is None else f"{epoch.val_accuracy:.1%}",
            f"{epoch.seconds:.1f}",
            style="bold" if best else None,
        )
    note = f"* kept; {journey.model.parameters:,} parameters, trained on {journey.model.trained_on}"
    return Section(f"Model {journey.trained.model}", note, table)


def _accuracy(journey: Journey, test: Metrics | None) -> Section:
    onnx = journey.trained.onnx
    title = "No test accuracy: the data set has no test split"
    if test:
        title = f"Test accuracy [green]{test.accuracy:.1%}[/] (top-5 {test.top5_accuracy:.1%}, loss {test.loss:.3f})"
    note = (
        f"The exported ONNX file: {onnx.size / 1e6:.1f} MB, opset {onnx.opset}, measured in ONNX Runtime; "
        f"its logits are within {onnx.parity_max_abs_diff:.1e} of PyTorch's"
    )
    return Section(title, note)


def _confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Section:
    table = _table("", *(escape(label[:COLUMN]) for label in labels))
    for label, row in zip(labels, matrix, strict=True):
        table.add_row(escape(label), *(_heat(count, sum(row)) for count in row))
    return Section("Confusion matrix of the test split: true labels down, predictions across", table=table)


def _heat(count: int, of: int) -> Text:
    """White on a red that deepens with the share of the row."""
    share = count / of if of else 0.0
    return Text(f"{count:>4}", style=f"white on rgb({40 + round(180 * share)},{40 - round(20 * share)},40)")


def _guesses(guesses: Sequence[Guess]) -> Section:
    table = _table("picture", "true label", "predicted", "confidence", "ms", "")
    for guess in guesses:
        right = guess.label == guess.predicted
        names = (escape(text) for text in (guess.picture, guess.label, guess.predicted))
        numbers = (f"{guess.score:.1%}", f"{guess.milliseconds:.1f}")
        mark = Text("right", "green") if right else Text("wrong", "red")
        table.add_row(*names, *numbers, mark)
    return Section("Pictures, one request each", "The first request loads the model.", table)


def _batch(journey: Journey) -> Section:
    batch = journey.batch
    title = f"A batch of {batch.count} pictures: {batch.right / batch.count:.1%} right"
    rate = f"{batch.count / batch.seconds:,.0f} pictures/s, {batch.seconds:.2f} s in all"
    return Section(title, f"{rate}, on {journey.model.provider or 'the inference pool'}")


def _seconds(journey: Journey, seconds: Mapping[str, float]) -> Section:
    epochs = sum(epoch.seconds for epoch in journey.trained.epochs)
    spent: dict[str, float] = {}
    for title, value in seconds.items():
        if title == Step.TRAIN:
            spent |= {"Training": epochs, "Evaluating and exporting": max(0.0, value - epochs)}
        else:
            spent[title] = value
    total = sum(spent.values())
    table = _table("step", "seconds", "")
    table.columns[-1].justify = "left"
    for title, value in spent.items():
        table.add_row(title, f"{value:.2f}", Text("█" * round(30 * value / total), "cyan"))
    table.add_section()
    table.add_row("all", f"{total:.2f}", "")
    return Section("Where each second went", table=table)


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first)
    for other in others:
        table.add_column(other, justify="right")
    return table
