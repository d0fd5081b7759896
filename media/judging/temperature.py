"""Temperature scaling: one number that makes a classifier's confidence honest without changing its answers."""

import math

import numpy as np
from numpy.typing import NDArray

MOST = 16.0  # the temperature stays between 1 / MOST and MOST
MOST_IMAGES = 10_000  # more do not change the result, but take time
FEWEST_IMAGES = 50
MOST_LOSS = 1e6  # nats; a logit may be -infinity
MIN_GAIN = 0.01  # nats
_STEPS = 34  # of bisection: 1e-9 of the range
_CHUNK = 4096
_LOWEST = -1e3  # of a logit below the best one, while fitting; it may be -infinity


def probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return softmax(logits / temperature) in float64 over the last axis."""
    return np.exp(_log_softmax(logits, temperature))


def confidences(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probability of the best class by row, of softmax(logits / temperature)."""
    parts = [
        probabilities(logits[start : start + _CHUNK], temperature).max(axis=1)
        for start in range(0, len(logits), _CHUNK)
    ]
    return np.concatenate([*parts, np.empty(0)])


def losses(logits: NDArray[np.floating], labels: NDArray[np.int64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return -log softmax(logits / temperature)[label] in nats, by row; at most 1e6."""
    parts = [
        -np.take_along_axis(
            _log_softmax(logits[start : start + _CHUNK], temperature), labels[start : start + _CHUNK, None], axis=1
        )[:, 0]
        for start in range(0, len(labels), _CHUNK)
    ]
    return np.asarray(np.minimum(np.concatenate([*parts, np.empty(0)]), MOST_LOSS))


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the lowest cross-entropy on logits (n, classes), n > 0, that training did not use.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2. As in Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999, each label counts as right only by (n + 1) / (n + 2), and the other classes share
    the rest: otherwise the confidence would grow without bound on images that are all classified correctly. The
    cross-entropy is convex in 1 / temperature, so bisection of its slope finds the minimum. Uses up to 10,000 rows,
    spread evenly.
    """
    step = -(-len(labels) // MOST_IMAGES)
    chosen, true = logits[::step].astype(np.float64), labels[::step]
    chosen = np.maximum(chosen - chosen.max(axis=1, keepdims=True), _LOWEST)
    doubt = 1 / (len(true) + 2)
    own = np.take_along_axis(chosen, true[:, None], axis=1)[:, 0]
    others = (chosen.sum(axis=1) - own) / max(1, chosen.shape[1] - 1)
    target = float(np.mean((1 - doubt) * own + doubt * others))
    low, high = -math.log(MOST), math.log(MOST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        too_sharp = float(np.mean(np.sum(probabilities(chosen, math.exp(-middle)) * chosen, axis=1))) > target
        low, high = (low, middle) if too_sharp else (middle, high)
    return math.exp(-(low + high) / 2)


def useful_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float | None:
    """Return the fitted temperature if it is worth baking into a model, else None.

    It is if it lowers the cross-entropy by at least 0.01 nats, and by more than two standard errors, on images that did
    not fit it: each half of the rows judges the temperature of the other half. Needs at least 50 images.
    """
    if len(labels) < FEWEST_IMAGES:
        return None
    gains = []
    for part, rest in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        temperature = fit_temperature(logits[rest], labels[rest])
        gains.append(losses(logits[part], labels[part]) - losses(logits[part], labels[part], temperature))
    gain = np.concatenate(gains)
    needed = max(MIN_GAIN, 2 * float(gain.std(ddof=1)) / math.sqrt(len(gain)))
    return fit_temperature(logits, labels) if float(gain.mean()) > needed else None


def _log_softmax(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = logits.astype(np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)  # keeps exp from overflowing
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
