"""The summary at the end of the demo."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from contract.catalog import DatasetVersion
from contract.choices import Choice
from contract.datasets import Split
from contract.evaluation import Metrics
from tidepool.demo.workflow import DemoResult, SamplePrediction, Step

MAX_MATRIX_CLASSES = 20
COLUMN = 4  # characters of a class name above the confusion matrix


class Section(NamedTuple):
    title: str
    note: str = ""
    table: Table | None = None


def print_summary(console: Console, result: DemoResult, seconds: Mapping[str, float]) -> None:
    """Print the result and the duration of each step."""
    test = result.trained.metrics.test
    sections = [
        _classes(result.dataset),
        _decisions((*result.dataset.decisions, *result.trained.decisions)),
        _epochs(result),
        _accuracy(result, test),
    ]
    if test and len(result.model.labels) <= MAX_MATRIX_CLASSES:
        sections.append(_confusion(result.model.labels, test.confusion_matrix))
    sections += [_singles(result.singles), _batch(result), _seconds(result, seconds)]
    console.print()
    console.rule(f"{result.dataset.name}: from a folder of images to a served model")
    for section in filter(None, sections):
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
    title = f"Dataset {dataset.name}@{dataset.version}: {len(dataset.classes)} classes"
    notes = [f"{dataset.rejected} files rejected", *(f"{item.message}; {item.advice}" for item in dataset.warnings)]
    return Section(title, escape("\n".join(notes)), table)


def _decisions(choices: Sequence[Choice]) -> Section | None:
    if not choices:
        return None
    table = _table("what", "value", "because")
    for column in table.columns[1:]:
        column.justify = "left"
    for choice in choices:
        value = choice.value if isinstance(choice.value, str) else json.dumps(choice.value)
        table.add_row(escape(choice.what), escape(value), escape(choice.because))
    return Section("Decided from the data", table=table)


def _epochs(result: DemoResult) -> Section:
    if not result.trained.epochs:
        return Section(f"Model {result.trained.model}", f"{result.model.parameters:,} parameters")
    table = _table("epoch", "train loss", "val loss", "val accuracy", "seconds")
    for epoch in result.trained.epochs:
        best = epoch.epoch == result.trained.best_epoch
        table.add_row(
            f"{epoch.epoch}{' *' if best else ''}",
            f"{epoch.train_loss:.3f}",
            "-" if epoch.val_loss is None else f"{epoch.val_loss:.3f}",
            "-" if epoch.val_accuracy is None else f"{epoch.val_accuracy:.1%}",
            f"{epoch.seconds:.1f}",
            style="bold" if best else None,
        )
    note = f"* best epoch, kept; {result.model.parameters:,} parameters, trained on {result.model.trained_on}"
    return Section(f"Model {result.trained.model}", note, table)


def _accuracy(result: DemoResult, test: Metrics | None) -> Section:
    onnx = result.trained.onnx
    title = "No test accuracy: the dataset has no test split"
    if test:
        top5 = "" if test.top5_accuracy is None else f"top-5 {test.top5_accuracy:.1%}, "
        title = f"Test accuracy [green]{test.accuracy:.1%}[/] ({top5}loss {test.loss:.3f})"
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


def _heat(count: int, total: int) -> Text:
    """Return the count in white on red, brighter the larger its share of the row."""
    share = count / total if total else 0.0
    return Text(f"{count:>4}", style=f"white on rgb({40 + round(180 * share)},{40 - round(20 * share)},40)")


def _singles(predictions: Sequence[SamplePrediction]) -> Section:
    table = _table("image", "true label", "predicted", "confidence", "ms", "")
    for prediction in predictions:
        correct = prediction.label == prediction.predicted
        names = (escape(text) for text in (prediction.image, prediction.label, prediction.predicted))
        numbers = (f"{prediction.score:.1%}", f"{prediction.milliseconds:.1f}")
        mark = Text("right", "green") if correct else Text("wrong", "red")
        table.add_row(*names, *numbers, mark)
    return Section("Images, one request each", "The first request loads the model.", table)


def _batch(result: DemoResult) -> Section:
    batch = result.batch
    title = f"A batch of {batch.count} images: {batch.correct / batch.count:.1%} right"
    rate = f"{batch.count / batch.seconds:,.0f} images/s, {batch.seconds:.2f} s in all"
    return Section(title, f"{rate}, on {result.model.provider or 'the inference pool'}")


def _seconds(result: DemoResult, seconds: Mapping[str, float]) -> Section:
    epochs = sum(epoch.seconds for epoch in result.trained.epochs)
    spent: dict[str, float] = {}
    for title, value in seconds.items():
        if title == Step.TRAIN and epochs:
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
