"""How far a classifier's confidence is from its accuracy."""

import numpy as np
from numpy.typing import NDArray

BINS = 15
UNITS = 2**40  # a confidence of 1; whole numbers, so that sums do not depend on the order

Bins = tuple[tuple[int, int, int], ...]
"""By bin of confidence: images, right answers, and the sum of the confidences in units of 1 / UNITS."""


def expected_calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error (0..1) of at least one row of probabilities (n, classes).

    The images are put into 15 bins of equal width by the probability of the predicted class; the result is the mean
    gap between accuracy and confidence of the bins, weighted by their images: Guo, Pleiss, Sun and Weinberger, "On
    Calibration of Modern Neural Networks", 2017, equation 3.
    """
    return calibration_error(confidence_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels))


def confidence_bins(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> Bins:
    """Sum up images by bin; a bin includes its upper edge, not its lower one."""
    exact = confidence.astype(np.float64)
    numbers = np.clip(np.ceil(exact * BINS).astype(np.int64) - 1, 0, BINS - 1)
    units = np.rint(exact * UNITS).astype(np.int64)
    rows = []
    for number in range(BINS):
        mask = numbers == number
        rows.append((int(mask.sum()), int(right[mask].sum()), int(units[mask].sum())))
    return tuple(rows)


def added(first: Bins, second: Bins) -> Bins:
    """Add up the bins of two sets of images; () has no images."""
    if not first or not second:
        return first or second
    return tuple((a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in zip(first, second, strict=True))


def calibration_error(bins: Bins) -> float:
    """Return the expected calibration error of bins with at least one image."""
    gaps = sum(abs(right * UNITS - units) for _, right, units in bins)
    return gaps / UNITS / sum(images for images, _, _ in bins)
