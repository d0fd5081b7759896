"""The only place that turns logits into predictions, or an error into their place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, TidepoolError
from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction


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


def results(logits: NDArray[np.float32], labels: Sequence[str], count: int) -> list[ImageResult]:
    """The `count` best of each row of logits (n, classes), or the model's error where a row holds no numbers."""
    return [
        failed(BadModel("the model's output for this picture is not a number"))
        if np.isnan(scores).any()
        else ImageResult(predictions=top(scores, labels, count))
        for scores in softmax(logits)
    ]


def failed(error: TidepoolError) -> ImageResult:
    """What a picture has instead of predictions."""
    return ImageResult(error=JobError(code=error.code, message=error.message))
