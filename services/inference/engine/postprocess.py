"""Turn logits into predictions."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, TidepoolError
from contract.inference import Failure, Scores
from contract.jobs import JobError
from contract.models import Output
from contract.predictions import ImageResult, Prediction

_TINY = np.finfo(np.float32).tiny
_FEW_CLASSES = 64
_BROKEN = Failure(BadModel.code, "the model's output for this image is not a number")


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """`exp(x) / sum(exp(x))` over the last axis, shifted by the maximum so that no finite logit overflows.

    A row with a logit of NaN or +infinity becomes all NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # shifted to -infinity, a score is 0
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return scores


def probabilities(logits: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    """Return the scores (0..1) of logits, or of the logarithms of a model that gives probabilities."""
    return np.exp(logits) if output == "probabilities" else softmax(logits)


def top(scores: NDArray[np.float32], labels: Sequence[str], count: int) -> tuple[tuple[str, float], ...]:
    """Return the labels and scores of the `count` best classes, best first; ties go to the lower class index."""
    best = np.argsort(-scores, kind="stable")[:count].tolist() if count > 1 else [int(scores.argmax())]
    return tuple((labels[index], float(scores[index])) for index in best)


def entropy(scores: NDArray[np.float32]) -> float:
    """Return the entropy (nats) of an image's scores."""
    logarithms = np.log(np.maximum(scores, _TINY))  # 0 log 0 is 0
    return max(0.0, -float((scores * logarithms).sum()))  # rounding may give -1e-8


def best_with_margins(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the best score of each row of scores (n, classes), and its margin: the best minus the second best.

    The margin of a model with one class is its score. Rows with NaN give NaN.
    """
    classes = scores.shape[-1]
    if classes == 1:
        return scores[:, 0], scores[:, 0]
    if classes <= _FEW_CLASSES:  # one call of numpy costs more than all the work
        pairs = scores.copy()
        pairs.partition(classes - 2, axis=-1)  # NaN goes to the end
        best, second = pairs[:, -1], pairs[:, -2]
    else:
        rows, index, others = np.arange(len(scores)), scores.argmax(axis=-1), scores.copy()
        others[rows, index] = -1
        best, second = scores[rows, index], others.max(axis=-1)
    return best, best - second


def top_scores(
    logits: NDArray[np.float32], labels: Sequence[str], counts: Iterable[int], output: Output = "logits"
) -> list[Scores | Failure]:
    """Return the best `counts[i]` classes of row i of logits (n, classes), or a Failure for a row with NaN scores.

    Each has its margin.
    """
    scores, counts = probabilities(logits, output), list(counts)
    values, margins = (column.tolist() for column in best_with_margins(scores))
    if max(counts, default=1) == 1:  # most requests; a call of numpy for each row would cost more than all else
        return [
            Scores(((labels[index], value),), margin) if value == value else _BROKEN  # noqa: PLR0124  NaN
            for index, value, margin in zip(scores.argmax(axis=-1).tolist(), values, margins, strict=True)
        ]
    broken = np.atleast_1d(np.isnan(scores).any(axis=-1))
    return [
        _BROKEN if is_broken else Scores(top(row, labels, count), margin)
        for row, is_broken, count, margin in zip(scores, broken, counts, margins, strict=True)
    ]


def image_result(answer: Scores | Failure) -> ImageResult:
    """Return an answer in the form used in result files."""
    if isinstance(answer, Failure):
        return ImageResult(error=JobError(code=answer.code, message=answer.message))
    return ImageResult(predictions=tuple(Prediction(label=label, score=score) for label, score in answer.best))


def image_results(
    logits: NDArray[np.float32], labels: Sequence[str], count: int, output: Output = "logits"
) -> list[ImageResult]:
    """Return the `count` best classes of each row of logits (n, classes), in the form used in result files."""
    return [image_result(answer) for answer in top_scores(logits, labels, repeat(count, len(logits)), output)]


def failed_result(error: TidepoolError) -> ImageResult:
    """Return the result of an image that could not be classified."""
    return image_result(Failure(error.code, error.message))
