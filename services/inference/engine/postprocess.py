"""The only place that turns logits into predictions, or an error into their place."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, TidepoolError
from contract.inference import Failure, Scores
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


def top(scores: NDArray[np.float32], labels: Sequence[str], count: int) -> tuple[tuple[str, float], ...]:
    """The `count` best of scores (classes,) or all there are, best first, the lower class first among equals."""
    best = np.argsort(-scores, kind="stable")[:count].tolist() if count > 1 else [int(scores.argmax())]
    return tuple((labels[index], float(scores[index])) for index in best)


def answers(logits: NDArray[np.float32], labels: Sequence[str], counts: Iterable[int]) -> list[Scores | Failure]:
    """The best of each row of logits (n, classes), as many as its count, or the model's failure to give numbers."""
    scores = softmax(logits)
    broken = np.atleast_1d(np.isnan(scores).any(axis=-1))
    return [
        Failure(BadModel.code, "the model's output for this picture is not a number")
        if is_broken
        else Scores(top(row, labels, count))
        for row, is_broken, count in zip(scores, broken, counts, strict=True)
    ]


def result(answer: Scores | Failure) -> ImageResult:
    """An answer as a row of a file has it."""
    if isinstance(answer, Failure):
        return ImageResult(error=JobError(code=answer.code, message=answer.message))
    return ImageResult(predictions=tuple(Prediction(label=label, score=score) for label, score in answer.best))


def results(logits: NDArray[np.float32], labels: Sequence[str], count: int) -> list[ImageResult]:
    """The `count` best of each row of logits (n, classes), as rows of a file have them."""
    return [result(answer) for answer in answers(logits, labels, repeat(count, len(logits)))]


def failed(error: TidepoolError) -> ImageResult:
    """What a picture has instead of predictions."""
    return result(Failure(error.code, error.message))
