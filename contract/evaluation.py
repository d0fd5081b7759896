"""How good a classifier is: metrics, the comparison of two models, and the images behind the numbers."""

from typing import Annotated, Literal

from pydantic import Field

from contract.base import Frozen, Sha256, Whole
from contract.datasets import Label, Split
from contract.references import ReferenceText
from contract.variants import VariantName

Share = Annotated[float, Field(ge=0, le=1)]


class ClassMetrics(Frozen):
    precision: float
    recall: float
    f1: float
    support: Whole


class Metrics(Frozen):
    """Measured on the ONNX file that serves; `confusion_matrix[i][j]` counts images of class i predicted as class j.

    `accuracy_interval` holds the accuracy with 95 % confidence. `balanced_accuracy` and `macro_f1` are means over the
    classes that have images, so that each class counts the same. `top5_accuracy` is None for fewer than six classes,
    where it would say little. `loss` is the mean cross-entropy in nats. `expected_calibration_error` is the mean gap
    between confidence and accuracy (0..1). Fields that are None may be missing from models of older releases.
    """

    accuracy: float
    accuracy_interval: tuple[float, float] | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    top5_accuracy: float | None
    loss: float
    expected_calibration_error: float | None = None
    confusion_matrix: tuple[tuple[Whole, ...], ...]
    per_class: dict[Label, ClassMetrics]


class EvaluationMetrics(Frozen):
    """By split; None for a split that the dataset does not have."""

    val: Metrics | None
    test: Metrics | None


class JudgedImage(Frozen):
    """An image and the answer of the model.

    `image` is the number in the split. `sha256` and `path` name the original; they are None if the dataset version has
    no index. `score` is the probability of the predicted class, `label_score` that of the label.
    """

    image: Whole
    sha256: Sha256 | None = None
    path: str | None = None
    label: Label
    predicted: Label
    score: float
    label_score: float


class Confusion(Frozen):
    """Images of class `label` that are predicted as `predicted`; `examples` are the most confident ones."""

    label: Label
    predicted: Label
    count: Whole
    examples: tuple[JudgedImage, ...]


class LabelError(JudgedImage):
    """An image whose label is probably wrong; `suggested` is the class that it probably shows.

    `margin` is the score of the label minus the best score of another class, -1..1; the lowest are the most suspicious.
    """

    suggested: Label
    margin: float


class SlowImage(Frozen):
    """A training image that a network was slow to learn; `image` is the number in the training split.

    `loss` is its mean cross-entropy in nats over all epochs but the first.
    """

    image: Whole
    sha256: Sha256 | None = None
    path: str | None = None
    label: Label
    loss: float


class TrainingImages(Frozen):
    """What a training noticed about its own images; lists hold the first few.

    `label_errors` are those whose label is probably wrong, among `judged` images, the most suspicious first. Each image
    was judged out of fold: by the one of five linear heads that was not fitted to it. `score` and `label_score` are of
    that head, and `accuracy` is that of all five. `not_judged` says why none were. `slowest` are the images that
    gradient descent was slowest to learn: hard ones, and wrong labels.
    """

    judged: Whole = 0
    accuracy: float | None = None
    label_errors: tuple[LabelError, ...] = ()
    label_error_count: Whole = 0
    not_judged: str | None = None
    slowest: tuple[SlowImage, ...] = ()


class Temperature(Frozen):
    """What dividing the logits by `temperature`, fitted on the split `chosen_on`, changes on the evaluated images.

    The classes that win stay the same; only the confidence changes.
    """

    temperature: Annotated[float, Field(gt=0)]
    chosen_on: Split
    loss_before: float
    loss_after: float
    calibration_error_before: float
    calibration_error_after: float


class UnknownThreshold(Frozen):
    """Read an answer whose score is below `below` as "unknown".

    `below` is the lowest threshold whose answers reach `wanted_precision` on the split `chosen_on`. `precision` and
    `coverage` are measured on the evaluated images: the share of right answers among those at or above the threshold
    (None if there are none), and the share of images that get an answer.
    """

    below: Share
    wanted_precision: Share
    chosen_on: Split
    precision: float | None
    coverage: float


class ClassComparison(Frozen):
    """Of a class's images, `better` are right with the model only, and `worse` with the baseline only."""

    better: Whole
    worse: Whole


class Comparison(Frozen):
    """McNemar's test between the model and the baseline on the same images.

    `better` images are right with the model only, `worse` with the baseline only. `p_value` is the chance of a
    difference at least this large between two models that are equally good. The test is `exact` (binomial) for few
    images, else `chi_squared` with continuity correction. `by_class` has the classes that have images; it is empty in
    evaluations of older releases.
    """

    better: Whole
    worse: Whole
    both_right: Whole
    both_wrong: Whole
    test: Literal["exact", "chi_squared"]
    p_value: Share
    statement: str
    by_class: dict[Label, ClassComparison] = Field(default_factory=dict)


class Baseline(Frozen):
    """The model that was compared with, measured on the same images."""

    model: ReferenceText
    model_variant: VariantName | None = None
    metrics: Metrics


class EvaluationReport(Frozen):
    """The judgement of a model on a split of a dataset.

    `model_variant` is the file that answered, the one that served; None if another one was pinned meanwhile. `summary`
    says the main results in sentences, `warnings` what limits them. `count` images were judged; for `failed` others the
    output was not a number, or the original could not be decoded again. Lists hold the first few: `mistakes` by
    confidence, `confusions` by count, `label_errors` by suspicion; every image is in the job's output. On the images
    that the model was trained on, `label_errors` and `slowest` are those that its training noticed (`TrainingImages`).
    """

    model: ReferenceText
    model_variant: VariantName | None = None
    dataset: ReferenceText
    split: Split
    count: Whole
    failed: Whole
    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    metrics: Metrics
    baseline: Baseline | None = None
    comparison: Comparison | None = None
    temperature: Temperature | None = None
    unknown: UnknownThreshold | None = None
    mistakes: tuple[JudgedImage, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    label_errors: tuple[LabelError, ...] = ()
    label_error_count: Whole = 0
    slowest: tuple[SlowImage, ...] = ()
