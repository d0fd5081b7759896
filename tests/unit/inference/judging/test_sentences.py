"""The sentences of an evaluation."""

from typing import Any

import pytest

from contract.datasets import Split
from contract.evaluation import ClassMetrics, EvaluationReport
from services.inference.judging.sentences import Training, summary, warnings
from tests.examples import EVALUATION_REPORT, TEMPERATURE, UNKNOWN_THRESHOLD


def scores(recall: float, support: int) -> ClassMetrics:
    return ClassMetrics(precision=0.5, recall=recall, f1=0.5, support=support)


METRICS = EVALUATION_REPORT.metrics.model_copy(
    update={
        "accuracy": 0.873,
        "accuracy_interval": (0.851, 0.892),
        "confusion_matrix": ((70, 25, 5), (2, 98, 0), (1, 0, 1)),
        "per_class": {"cat": scores(0.7, 100), "dog": scores(0.98, 100), "owl": scores(0.5, 2)},
    }
)
REPORT = EVALUATION_REPORT.model_copy(
    update={
        "count": 1000,
        "metrics": METRICS,
        "baseline": None,
        "comparison": None,
        "unknown": UNKNOWN_THRESHOLD.model_copy(update={"precision": 0.952, "coverage": 0.831}),
        "label_error_count": 12,
    }
)


def changed(**fields: Any) -> EvaluationReport:
    return REPORT.model_copy(update=fields)


def test_a_report_is_summed_up_in_plain_words() -> None:
    assert summary(REPORT, 0.921, 0.95) == (
        "pet-cnn@2 is right on 87.3 % of 1,000 images (test split of pets@1); on other images like these, expect "
        "between 85.1 % and 89.2 %.",
        "The class it knows least is 'cat': it is right on 70.0 % of 100 images, and most often takes them for 'dog' "
        "(25 of 30 mistakes).",
        "On average it is 92.1 % sure and right on 87.3 %; its confidence and its accuracy differ by 25.0 points "
        "(expected calibration error), and by only 12.5 if its logits are divided by 1.50.",
        'If answers with a score below 0.800 are read as "unknown", 95.2 % of the other answers are right (wanted: 95 '
        "%), and 83.1 % of the images get an answer.",
        "It doubts the label of 12 images. As it is right on 87.3 % only, most of these are its own mistakes, but the "
        "first ones of label_errors are worth a look.",
    )


def test_a_comparison_names_both_accuracies() -> None:
    report = EVALUATION_REPORT

    sentences = summary(report, 0.9, 0.95)

    assert "On the same images, pet-cnn@1 is right on 50.0 %." in sentences
    assert report.comparison is not None
    assert report.comparison.statement in sentences


def test_a_temperature_that_does_not_help_is_not_advised() -> None:
    useless = TEMPERATURE.model_copy(update={"calibration_error_after": 0.249})

    assert summary(changed(temperature=useless), 0.9, 0.95)[2].endswith(
        "differ by 25.0 points (expected calibration error)."
    )


def test_a_model_without_a_threshold_is_said_so() -> None:
    assert any("There is no threshold" in sentence for sentence in summary(changed(unknown=None), 0.9, 0.99))


def test_a_model_without_mistakes_has_no_weakest_class() -> None:
    perfect = METRICS.model_copy(update={"per_class": {"cat": scores(1, 9), "dog": scores(1, 9)}})

    assert not any("knows least" in sentence for sentence in summary(changed(metrics=perfect), 1, 0.95))


def test_a_good_model_points_at_wrong_labels() -> None:
    good = METRICS.model_copy(update={"accuracy": 0.97})

    assert summary(changed(metrics=good, label_error_count=1), 0.9, 0.95)[-1].startswith(
        "1 image may have a wrong label;"
    )


def test_a_weak_model_does_not_accuse_labels() -> None:
    weak = METRICS.model_copy(update={"accuracy": 0.3})

    assert not any("wrong label" in sentence for sentence in summary(changed(metrics=weak), 0.9, 0.95))


@pytest.mark.parametrize(
    ("report", "trained_on", "expected"),
    [
        (REPORT, "pets@1", []),
        (REPORT, ("pets@1", 0), []),
        (REPORT, ("pets@2", 0), []),
        (
            REPORT,
            ("birds@1", 31),
            ["31 images of 1,000 are also in the training split of birds@1, on which pet-cnn@2 was"],
        ),
        (REPORT, ("pets@1", 1), ["1 image of 1,000 is also in the training split of pets@1, on which pet-cnn@2 was"]),
        (REPORT, "birds@1", []),
        (REPORT, None, []),
        (REPORT, "pets@2", ["pet-cnn@2 was trained on pets@2, another version of this dataset; if some of these"]),
        (changed(split=Split.TRAIN), "pets@1", ["pet-cnn@2 was trained on these images, so it looks better"]),
        (changed(count=34), None, ["There are only 34 images, so chance has a large part in these numbers."]),
        (changed(failed=1), None, ["1 image had no answer and is left out."]),
        (changed(failed=3), None, ["3 images had no answer and are left out."]),
        (
            changed(
                metrics=METRICS.model_copy(
                    update={"per_class": {name: scores(0, 0) for name in "abcdefg"} | {"h": scores(1, 9)}}
                )
            ),
            None,
            ["There are no images of 'a', 'b', 'c', 'd', 'e' and 2 other classes, so nothing is known about them."],
        ),
        (
            changed(unknown=UNKNOWN_THRESHOLD.model_copy(update={"chosen_on": Split.TEST})),
            None,
            ["The temperature and the threshold were chosen on the same images that they are measured on;"],
        ),
    ],
)
def test_a_warning_says_what_limits_the_numbers(
    report: EvaluationReport, trained_on: str | tuple[str, int] | None, expected: list[str]
) -> None:
    training = Training(*trained_on) if isinstance(trained_on, tuple) else Training(trained_on, None)

    sentences = list(warnings(report, {"pet-cnn@2": training}))

    assert len(sentences) == len(expected)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, expected, strict=True))
