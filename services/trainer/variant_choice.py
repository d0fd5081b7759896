"""The choice of the variant that serves, from what was measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.variants import VariantName

FEW = 200  # validation images; with fewer, half a point of accuracy is less than one image
MOST_LOST = 0.005  # of the accuracy
LEAST_AGREEMENT = 0.99
LEAST_GAIN = 1.1  # times the images per second; less is within the noise of the measurement


@dataclass(frozen=True)
class Measured:
    """A variant's images per second, and by image whether the class is right and whether it is that of fp32."""

    speed: float
    right: NDArray[np.bool_]
    agrees: NDArray[np.bool_]
    difference: float


@dataclass(frozen=True)
class CheckedImages:
    """The images that variants are checked on, and which of them are of the validation split."""

    labels: NDArray[np.int64]
    validation: NDArray[np.bool_]

    @property
    def few(self) -> bool:
        return int(self.validation.sum()) < FEW


def choose(
    measured: dict[VariantName, Measured], checked: CheckedImages, scheme: str | None
) -> tuple[VariantName, str]:
    """Return the fastest variant that is as good as fp32, and the reason.

    As good means at most 0.5 points of validation accuracy lost. With few validation images, the accuracy is that of
    validation and training images, and 99 % of all images must also have the same class as with fp32.
    """
    fp32 = measured["fp32"]
    best: VariantName = "fp32"
    for name, variant in measured.items():
        if variant.speed > max(measured[best].speed, LEAST_GAIN * fp32.speed) and _good(variant, fp32, checked):
            best = name
    rivals = [name for name in measured if name != "fp32"]
    if not rivals:
        return best, "only fp32 could be made"
    rival = best if best != "fp32" else max(rivals, key=lambda name: measured[name].speed)
    detail = f" ({scheme})" if rival == "int8" and scheme else ""
    return best, f"{rival}{detail} {_comparison(measured[rival], fp32, checked)}"


def _good(variant: Measured, fp32: Measured, checked: CheckedImages) -> bool:
    counted = np.ones_like(checked.validation) if checked.few else checked.validation
    if checked.few and variant.agrees.mean() < LEAST_AGREEMENT:
        return False
    return _accuracy(variant, counted, len(variant.right)) >= _accuracy(fp32, counted, len(variant.right)) - MOST_LOST


def _comparison(variant: Measured, fp32: Measured, checked: CheckedImages) -> str:
    """Return the sentence that compares a variant with fp32."""
    speeds = f"answers {variant.speed:,.0f} images a second, fp32 {fp32.speed:,.0f}"
    count = len(variant.right)
    counted = np.ones_like(checked.validation) if checked.few else checked.validation
    accuracy, reference = (_accuracy(measured, counted, count) for measured in (variant, fp32))
    if not checked.few:
        return f"{speeds}; validation accuracy {accuracy:.1%} against {reference:.1%}".replace("%", " %")
    text = (
        f"{speeds}; with only {checked.validation.sum()} validation images, {count} validation and training images are "
        f"compared: accuracy {accuracy:.1%} against {reference:.1%}, the same class for {variant.agrees.mean():.1%}"
    )
    return text.replace("%", " %")


def _accuracy(measured: Measured, counted: NDArray[np.bool_], count: int) -> float:
    """Return the accuracy over those of the first `count` images that are counted; 0 if there are none."""
    right = measured.right[:count][counted[:count]]
    return float(right.mean()) if len(right) else 0.0
