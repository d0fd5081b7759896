"""The drift of an alias."""

from datetime import date

from contract.base import Frozen
from contract.drift import (
    AliasDrift,
    DetailedDifference,
    Difference,
    DriftAlarm,
    DriftBin,
    DriftCounts,
    DriftDay,
    DriftReference,
    EstimatedAccuracy,
    ReviewedAccuracy,
)

DRIFT_ON = date(2026, 1, 31)
DRIFT_COUNTS = DriftCounts(
    classes={"cat": 2, "dog": 1}, confidence=(0, 3), confidence_sum=2.5, brightness=(1, 0), width=(1,)
)
DRIFT_REFERENCE = DriftReference(classes={"cat": 1, "dog": 1}, confidence=(0, 2), confidence_sum=1.75, accuracy=0.5)
DRIFT_BIN = DriftBin(bin="76.8 to 89.6", reference=0.25, observed=0.75)
DRIFT_DIFFERENCE = Difference(
    statistic="brightness", images=500, distance=0.5, by_chance=0.0625, p_value=0.0, changed=True, alarms=True
)
DRIFT_DETAILS = DetailedDifference(
    **DRIFT_DIFFERENCE.model_dump(),
    summary="the images are darker: typically 83.2 instead of 122",
    bins=(DRIFT_BIN,),
)
ESTIMATED_ACCURACY = EstimatedAccuracy(estimate=0.75, on_validation=0.875, validation_accuracy=0.875)
REVIEWED_ACCURACY = ReviewedAccuracy(reviewed=4, right=3, accuracy=0.75, interval=(0.3, 0.95))
DRIFT_DAY = DriftDay(
    day=DRIFT_ON,
    predictions=500,
    since=DRIFT_ON,
    estimate=0.75,
    reviewed=REVIEWED_ACCURACY,
    alarm=True,
    differences=(DRIFT_DIFFERENCE,),
)
DRIFT_ALARM = DriftAlarm(
    model="pet-cnn",
    alias="production",
    since=DRIFT_ON,
    statistics=("brightness",),
    reason="brightness: the images are darker: typically 83.2 instead of 122",
)
ALIAS_DRIFT = AliasDrift(
    model="pet-cnn",
    alias="production",
    versions=(1, 2),
    without_reference=("pet-cnn@1",),
    state="alarm",
    reason=DRIFT_ALARM.reason,
    since=DRIFT_ON,
    predictions=500,
    differences=(DRIFT_DETAILS,),
    estimated=ESTIMATED_ACCURACY,
    reviewed=REVIEWED_ACCURACY,
    days=(DRIFT_DAY,),
)

EXAMPLES: tuple[Frozen, ...] = (
    DRIFT_COUNTS,
    DRIFT_REFERENCE,
    DRIFT_BIN,
    DRIFT_DIFFERENCE,
    DRIFT_DETAILS,
    ESTIMATED_ACCURACY,
    REVIEWED_ACCURACY,
    DRIFT_DAY,
    DRIFT_ALARM,
    ALIAS_DRIFT,
)
