"""The report of an evaluation, from the logits of the models."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split
from contract.errors import BadModel
from contract.evaluation import (
    Baseline,
    ClassComparison,
    Comparison,
    Confusion,
    EvaluationReport,
    JudgedImage,
    LabelError,
    Temperature,
    TrainingImages,
    UnknownThreshold,
)
from contract.kinds.evaluate import EvaluateSpec
from contract.variants import VariantName
from media.judging.calibration import calibration_error, confidence_bins
from media.judging.label_errors import Suspect, likely_label_errors
from media.judging.mcnemar import mcnemar, statement
from media.judging.temperature import confidences, fit_temperature, losses
from media.judging.unknown import precision_above, unknown_threshold
from services.inference.judging.answers import Answers
from services.inference.judging.originals import Originals
from services.inference.judging.sentences import Training, summary, warnings

MISTAKES = 20
LABEL_ERRORS = 50
CONFUSIONS = 20
EXAMPLES = 5  # of a confusion


@dataclass(frozen=True)
class Judged:
    """What a report is made of: the answers of the models to all images of the split.

    `variants` are the files of the models that answered. `validation` are the model's answers to the validation split;
    None if that is the evaluated one or there is none.
    `training` says on what each model was trained, by the model's reference. `noticed` is what the training of the
    model noticed about the images, if they are those that it was trained on.
    """

    spec: EvaluateSpec
    variants: tuple[VariantName | None, ...]
    answers: Answers
    baseline: Answers | None
    validation: Answers | None
    index: Originals | None
    training: dict[str, Training]
    noticed: TrainingImages | None = None


def make_report(judged: Judged) -> tuple[EvaluationReport, dict[int, int]]:
    """Return the report, and the classes that images with a likely label error probably show, by number of the image.

    Raises BadModel without any answer.
    """
    spec, all_answers = judged.spec, judged.answers
    mask = all_answers.valid if judged.baseline is None else all_answers.valid & judged.baseline.valid
    if not mask.any():
        raise BadModel("the output of the model is not a number for any of the images")
    numbers, answers = np.flatnonzero(mask), all_answers.only(mask)
    scores = answers.scores
    suspects = likely_label_errors(scores, answers.truth)
    describe = _describer(answers, scores, numbers, judged.index)
    label_errors = tuple(_label_error(answers, suspect, describe) for suspect in suspects[:LABEL_ERRORS])
    noticed, suspicious = judged.noticed or TrainingImages(), {int(numbers[s.row]): s.suggested for s in suspects}
    if noticed.judged:  # out of fold, unlike the answers of the model to images that it has learned
        label_errors = noticed.label_errors
        suspicious = {error.image: answers.labels.index(error.suggested) for error in label_errors}
    chosen_on, choosing = (Split.VAL, judged.validation) if judged.validation else (spec.split, answers)
    report = EvaluationReport(
        model=spec.model,
        model_variant=judged.variants[0],
        dataset=spec.dataset,
        split=spec.split,
        count=len(answers),
        failed=len(all_answers) - len(answers),
        summary=(),
        warnings=(),
        metrics=answers.tally.metrics(answers.labels),
        temperature=_temperature(answers, choosing, chosen_on),
        unknown=_unknown(scores, answers, choosing, chosen_on, spec.unknown_precision),
        mistakes=tuple(describe(row) for row in _wrong(answers, scores)[:MISTAKES]),
        confusions=_confusions(answers, scores, describe),
        label_errors=label_errors,
        label_error_count=noticed.label_error_count if noticed.judged else len(suspects),
        slowest=noticed.slowest,
    )
    if judged.baseline is not None and spec.compare_with is not None:
        baseline = judged.baseline.only(mask)
        measured = Baseline(
            model=spec.compare_with,
            model_variant=judged.variants[1],
            metrics=baseline.tally.metrics(baseline.labels),
        )
        comparison = _comparison(spec.model, spec.compare_with, answers, baseline.right)
        report = report.model_copy(update={"baseline": measured, "comparison": comparison})
    words = {
        "summary": summary(report, float(scores.max(axis=1).mean()), spec.unknown_precision, noticed.accuracy),
        "warnings": tuple(warnings(report, judged.training, out_of_fold=noticed.judged > 0)),
    }
    return report.model_copy(update=words), suspicious


Describe = Callable[[int], JudgedImage]


def _describer(
    answers: Answers, scores: NDArray[np.float32], numbers: NDArray[np.intp], index: Originals | None
) -> Describe:
    def describe(row: int) -> JudgedImage:
        image, truth, predicted = int(numbers[row]), int(answers.truth[row]), int(answers.predicted[row])
        return JudgedImage(
            image=image,
            sha256=index.hashes[image] if index else None,
            path=index.paths[image] if index else None,
            label=answers.labels[truth],
            predicted=answers.labels[predicted],
            score=float(scores[row, predicted]),
            label_score=float(scores[row, truth]),
        )

    return describe


def _wrong(answers: Answers, scores: NDArray[np.float32]) -> list[int]:
    """Return the rows of wrong answers, the most confident first."""
    rows = np.flatnonzero(~answers.right)
    ordered: list[int] = rows[np.argsort(-scores[rows].max(axis=1), kind="stable")].tolist()
    return ordered


def _confusions(answers: Answers, scores: NDArray[np.float32], describe: Describe) -> tuple[Confusion, ...]:
    cells = defaultdict[tuple[int, int], list[int]](list)
    for row in _wrong(answers, scores):
        cells[int(answers.truth[row]), int(answers.predicted[row])].append(row)
    largest = sorted(cells.items(), key=lambda cell: (-len(cell[1]), cell[0]))[:CONFUSIONS]
    return tuple(
        Confusion(
            label=answers.labels[truth],
            predicted=answers.labels[predicted],
            count=len(rows),
            examples=tuple(describe(row) for row in rows[:EXAMPLES]),
        )
        for (truth, predicted), rows in largest
    )


def _label_error(answers: Answers, suspect: Suspect, describe: Describe) -> LabelError:
    return LabelError(**dict(describe(suspect.row)), suggested=answers.labels[suspect.suggested], margin=suspect.margin)


def _comparison(model: str, baseline: str, answers: Answers, other: NDArray[np.bool_]) -> Comparison:
    right, classes = answers.right, len(answers.labels)
    by_class = [np.bincount(answers.truth[rows], minlength=classes) for rows in (right & ~other, ~right & other)]
    better, worse = (int(counts.sum()) for counts in by_class)
    result = mcnemar(better, worse)
    return Comparison(
        better=better,
        worse=worse,
        both_right=int((right & other).sum()),
        both_wrong=int((~right & ~other).sum()),
        test=result.test,
        p_value=result.p_value,
        statement=statement(model, baseline, better, worse, result.p_value),
        by_class={
            answers.labels[truth]: ClassComparison(better=int(by_class[0][truth]), worse=int(by_class[1][truth]))
            for truth in np.unique(answers.truth).tolist()
        },
    )


def _temperature(answers: Answers, choosing: Answers, chosen_on: Split) -> Temperature:
    temperature = fit_temperature(choosing.logits, choosing.truth)
    before, after = (
        (
            float(losses(answers.logits, answers.truth, value).mean()),
            calibration_error(confidence_bins(confidences(answers.logits, value), answers.right)),
        )
        for value in (1.0, temperature)
    )
    return Temperature(
        temperature=temperature,
        chosen_on=chosen_on,
        loss_before=before[0],
        loss_after=after[0],
        calibration_error_before=before[1],
        calibration_error_after=after[1],
    )


def _unknown(
    scores: NDArray[np.float32], answers: Answers, choosing: Answers, chosen_on: Split, precision: float
) -> UnknownThreshold | None:
    threshold = unknown_threshold(choosing.scores, choosing.truth, precision)
    if threshold is None:
        return None
    reached, coverage = precision_above(scores, answers.truth, threshold.below)
    return UnknownThreshold(
        below=threshold.below,
        wanted_precision=precision,
        chosen_on=chosen_on,
        precision=reached,
        coverage=coverage,
    )
