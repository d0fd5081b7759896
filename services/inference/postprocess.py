"""The only place that turns logits into predictions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.predictions import Prediction


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """`exp(x) / sum(exp(x))` over the last axis, shifted by the maximum so that no finite logit overflows.

    All of a row is NaN where one of its logits is NaN or +infinity.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a shift to -infinity is a score of 0
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return scores


def top(scores: NDArray[np.float32], labels: Sequence[str], count: int) -> tuple[Prediction, ...]:
    """The `count` best of scores (classes,) or all there are, best first, the lower class first among equals."""
    best = np.argsort(-scores, kind="stable")[:count]
    return tuple(Prediction(label=labels[index], score=scores[index].item()) for index in best)
