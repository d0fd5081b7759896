"""Drift: how the requests of a model differ from its validation images.

Only counts are kept: no image, and nothing from which one could be made.
"""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field

from contract.base import Frozen, Name, Positive, Version, Whole
from contract.datasets import Label
from contract.references import ReferenceText

Share = Annotated[float, Field(ge=0, le=1)]
Bins = tuple[Whole, ...]

NumberStatistic = Literal["confidence", "brightness", "sharpness", "width", "height"]
StatisticName = Literal["classes", "confidence", "brightness", "sharpness", "width", "height"]


class DriftCounts(Frozen):
    """Histograms of the answers of a model version, and of the images that were measured.

    `classes` counts the predicted classes. The other histograms count by bin (`media.drift.bins`): `confidence` the
    scores of the predicted class, whose sum is `confidence_sum`, and the rest what a sample of the images looks like.
    """

    classes: dict[Label, Whole] = Field(default={})
    confidence: Bins = ()
    confidence_sum: Annotated[float, Field(ge=0)] = 0.0
    brightness: Bins = ()
    sharpness: Bins = ()
    width: Bins = ()
    height: Bins = ()

    @property
    def predictions(self) -> int:
        return sum(self.confidence)

    @property
    def measured(self) -> int:
        """The images whose brightness and sharpness were measured."""
        return sum(self.brightness)

    def __add__(self, other: Self) -> Self:
        labels = self.classes.keys() | other.classes.keys()
        bins = ("confidence", "brightness", "sharpness", "width", "height")
        return self.model_copy(
            update={
                "classes": {
                    label: self.classes.get(label, 0) + other.classes.get(label, 0) for label in sorted(labels)
                },
                "confidence_sum": self.confidence_sum + other.confidence_sum,
                **{name: _added(getattr(self, name), getattr(other, name)) for name in bins},
            }
        )


class DriftReference(DriftCounts):
    """The same counts for the validation images of a training, answered by the exported model.

    `accuracy` is the share of right answers. `classes` has every class of the model, and `width` and `height` are empty
    if the dataset version has no index.
    """

    accuracy: Share


class DriftBin(Frozen):
    """A class, or a range of values, with its share (0..1) of the reference and of the requests."""

    bin: str
    reference: Share
    observed: Share


class Difference(Frozen):
    """One statistic of the requests compared with the reference.

    `distance` is the Jensen-Shannon distance of the two histograms, 0 if they are equal and 1 if they have nothing in
    common. `by_chance` is the average distance of samples of these sizes if nothing has changed. `p_value` is that of
    a chi-squared test. `changed` is true if the distance is large and significant; `alarms` says whether such a change
    is an alarm.
    """

    statistic: StatisticName
    images: Whole
    distance: Share
    by_chance: Share
    p_value: Share
    changed: bool
    alarms: bool


class DetailedDifference(Difference):
    """`summary` says in words what has changed; `bins` are the two histograms."""

    summary: str
    bins: tuple[DriftBin, ...]


class EstimatedAccuracy(Frozen):
    """The accuracy estimated from the scores, without labels (CBPE); a new kind of image can fool it.

    `on_validation` is the same estimate for the validation images, and `validation_accuracy` their true accuracy.
    """

    estimate: Share
    on_validation: Share
    validation_accuracy: Share


class ReviewedAccuracy(Frozen):
    """The accuracy on randomly sampled images that people have reviewed, with its 95 % interval."""

    reviewed: Positive
    right: Whole
    accuracy: Share
    interval: tuple[Share, Share]


class DriftDay(Frozen):
    """One day in UTC; if it had few predictions, it is judged together with the days since `since`."""

    day: date
    predictions: Whole
    since: date
    estimate: Share | None
    reviewed: ReviewedAccuracy | None
    alarm: bool
    differences: tuple[Difference, ...]


DriftState = Literal["alarm", "steady", "too_few", "no_reference"]


class AliasDrift(Frozen):
    """The drift of an alias, for all versions together that it points to.

    All requests of a version count, whichever alias they came by. `state` and `reason` are of today, or of the days
    since `since` if today had few predictions. `without_reference` lists versions that are not compared, because they
    have no statistics of validation images. `days` are those with predictions, the newest last.
    """

    model: Name
    alias: Name
    versions: tuple[Version, ...]
    without_reference: tuple[ReferenceText, ...]
    state: DriftState
    reason: str
    since: date
    predictions: Whole
    differences: tuple[DetailedDifference, ...]
    estimated: EstimatedAccuracy | None
    reviewed: ReviewedAccuracy | None
    days: tuple[DriftDay, ...]


class DriftAlarm(Frozen):
    """An alias whose requests have changed, judged since `since`, and what has changed, in words."""

    model: Name
    alias: Name
    since: date
    statistics: tuple[StatisticName, ...]
    reason: str


def _added(first: Bins, second: Bins) -> Bins:
    """Add up two histograms; if another release had other bins, the second one counts."""
    if len(first) != len(second):
        return second or first
    return tuple(a + b for a, b in zip(first, second, strict=True))
