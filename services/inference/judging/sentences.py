"""What an evaluation found, in sentences for people."""

from collections.abc import Iterator
from typing import NamedTuple

from contract.datasets import Split
from contract.evaluation import EvaluationReport, Metrics, Temperature, UnknownThreshold
from media.judging.unknown import FEWEST_ANSWERS

FEW_IMAGES = 100
FEW_OF_A_CLASS = 5
GOOD, FAIR = 0.9, 0.5  # accuracies: labels are wrong about as often as a good model; a poor one says little of them
NOTICEABLE = 0.005  # of a calibration error
_NAMED = 5
_SPLITS = {Split.TRAIN: "training", Split.VAL: "validation", Split.TEST: "test"}


def summary(
    report: EvaluationReport, sureness: float, wanted_precision: float, judge: float | None = None
) -> tuple[str, ...]:
    """Say how good the model is, where it is weak, and what to do; `sureness` is its mean score.

    `judge` is the accuracy of what found the label errors, if that is not the model.
    """
    metrics = report.metrics
    sentences = [_accuracy(report), *_weakest(metrics)]
    if report.comparison and report.baseline:
        sentences.append(
            f"On the same images, {report.baseline.model} is right on {percent(report.baseline.metrics.accuracy)}."
        )
        sentences.append(report.comparison.statement)
    if report.temperature:
        sentences.append(_confidence(metrics, sureness, report.temperature))
    sentences.append(_unknown(report.unknown, wanted_precision))
    return (*sentences, *_label_errors(report.label_error_count, report.metrics.accuracy if judge is None else judge))


class Training(NamedTuple):
    """The dataset version that a model was trained on, and how many of the judged images are in its training split.

    Both are None if that is not known.
    """

    dataset: str | None
    images: int | None


def warnings(report: EvaluationReport, training: dict[str, Training], out_of_fold: bool = False) -> Iterator[str]:
    """Yield what limits the results; `training` is by the reference of the model.

    `out_of_fold` means that the label errors were found without the model.
    """
    for model, (dataset, images) in training.items():
        if dataset == report.dataset and report.split is Split.TRAIN:
            unnoticed = "" if out_of_fold else ", and wrong labels may go unnoticed"
            yield (
                f"{model} was trained on these images, so it looks better here than it is{unnoticed}; evaluate it on "
                "the test split."
            )
        elif images:
            yield (
                f"{_images(images)} of {report.count + report.failed:,} {'is' if images == 1 else 'are'} also in the "
                f"training split of {dataset}, on which {model} was trained, so it looks better here than it is."
            )
        elif images is None and dataset and dataset != report.dataset and _name(dataset) == _name(report.dataset):
            yield (
                f"{model} was trained on {dataset}, another version of this dataset; if some of these images were "
                "among its training images, it looks better here than it is."
            )
    if report.count < FEW_IMAGES:
        yield f"There are only {_images(report.count)}, so chance has a large part in these numbers."
    if report.unknown or report.temperature:
        chosen_on = (report.unknown or report.temperature).chosen_on  # type: ignore[union-attr]
        if chosen_on is report.split:
            yield (
                "The temperature and the threshold were chosen on the same images that they are measured on; on other "
                "images they will do slightly worse."
            )
    absent = [label for label, scores in report.metrics.per_class.items() if not scores.support]
    if absent:
        yield f"There are no images of {_listed(absent)}, so nothing is known about {_them(len(absent))}."
    if report.failed:
        yield f"{_images(report.failed)} had no answer and {'is' if report.failed == 1 else 'are'} left out."


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _name(reference: str) -> str:
    return reference.partition("@")[0]


def _accuracy(report: EvaluationReport) -> str:
    metrics = report.metrics
    low, high = metrics.accuracy_interval or (0.0, 1.0)
    return (
        f"{report.model} is right on {percent(metrics.accuracy)} of {_images(report.count)} "
        f"({_SPLITS[report.split]} split of {report.dataset}); on other images like these, expect between "
        f"{percent(low)} and {percent(high)}."
    )


def _weakest(metrics: Metrics) -> Iterator[str]:
    labels = tuple(metrics.per_class)
    sizes = {label: scores.support for label, scores in metrics.per_class.items()}
    least = FEW_OF_A_CLASS if max(sizes.values()) >= FEW_OF_A_CLASS else 1
    judged = [label for label in labels if sizes[label] >= least]
    weakest = min(judged, key=lambda label: metrics.per_class[label].recall)
    recall = metrics.per_class[weakest].recall
    if recall == 1 or len(judged) == 1:
        return
    number = labels.index(weakest)
    row = [0 if other == number else count for other, count in enumerate(metrics.confusion_matrix[number])]
    known = f"The class it knows least is {weakest!r}: it is right on {percent(recall)} of {_images(sizes[weakest])}"
    if max(row) == 1 < sum(row):  # it is taken for a different class each time
        yield f"{known}."
    else:
        taken_for = labels[row.index(max(row))]
        yield f"{known}, and most often takes them for {taken_for!r} ({max(row)} of {sum(row)} mistakes)."


def _confidence(metrics: Metrics, sureness: float, temperature: Temperature) -> str:
    sure = f"On average it is {percent(sureness)} sure and right on {percent(metrics.accuracy)}"
    before, after = temperature.calibration_error_before, temperature.calibration_error_after
    points = f"{100 * before:.1f} points"
    if after < before - NOTICEABLE:
        return (
            f"{sure}; its confidence and its accuracy differ by {points} (expected calibration error), and by only "
            f"{100 * after:.1f} if its logits are divided by {temperature.temperature:.2f}."
        )
    return f"{sure}; its confidence and its accuracy differ by {points} (expected calibration error)."


def _unknown(threshold: UnknownThreshold | None, wanted: float) -> str:
    goal = f"{100 * wanted:g} %"
    if threshold is None:
        return (
            f'There is no threshold for "unknown": no score is reached by {FEWEST_ANSWERS} or more answers of which '
            f"{goal} are right."
        )
    if threshold.precision is None:
        return f'Read every answer with a score below {threshold.below:.3f} as "unknown"; here that is all of them.'
    return (
        f'If answers with a score below {threshold.below:.3f} are read as "unknown", {percent(threshold.precision)} of '
        f"the other answers are right (wanted: {goal}), and {percent(threshold.coverage)} of the images get an answer."
    )


def _label_errors(count: int, accuracy: float) -> Iterator[str]:
    if count and accuracy >= GOOD:
        yield (
            f"{_images(count)} may have a wrong label; look at the first ones of label_errors. Where the label is "
            "right, the model is badly wrong."
        )
    elif count and accuracy >= FAIR:
        yield (
            f"It doubts the label of {_images(count)}. As it is right on {percent(accuracy)} only, most of these are "
            "its own mistakes, but the first ones of label_errors are worth a look."
        )


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _listed(labels: list[str]) -> str:
    names = ", ".join(repr(label) for label in labels[:_NAMED])
    return names if len(labels) <= _NAMED else f"{names} and {len(labels) - _NAMED} other classes"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
