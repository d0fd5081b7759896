"""Computes the reply to a batch, whichever way the batch came to the replica."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import structlog
from prometheus_client import Counter

from contract.errors import DeadlineExceeded, Overloaded, TidepoolError
from contract.inference import LARGEST_ANSWER, Answer, Batch, Failure, Outputs, Question, Reply, Target
from contract.tracing import Attributes, Span, TraceContext, current, ended
from contract.usage import Purpose, Use
from messaging.busy import Busy
from messaging.tracing import tracing

log = structlog.get_logger()
_level = logging.getLogger(__name__)

ANSWERS = Counter("tidepool_replica_answers_total", "Predictions that a replica answered.", ["pool", "outcome"])

_UNTRACED = nullcontext()


class BatchAnswers(msgspec.Struct, frozen=True):
    """The answers to the questions of a batch, in order; the other fields as in Reply."""

    answers: list[Answer]
    inference_ms: float
    provider: str
    max_batch: int


Respond = Callable[[Target, tuple[Question, ...]], BatchAnswers]


class BatchHandler(NamedTuple):
    """Answers questions, `at_once` batches in parallel, so that one is decoded while another runs.

    `close` is called after the last batch.
    """

    respond: Respond
    at_once: int = 1
    close: Callable[[], None] = lambda: None


class Answerer:
    """Answers batches with a handler; questions past their deadline are not computed. Thread-safe."""

    def __init__(self, pool: str, respond: Respond, busy: Busy) -> None:
        self._respond = respond
        self._busy = busy
        self._ok, self._failed = (ANSWERS.labels(pool, outcome) for outcome in ("ok", "failed"))

    def reply(self, batch: Batch) -> Reply:
        """Compute a batch; an error of the handler fails its questions."""
        now = time.time()
        live = tuple([question for question in batch.questions if question.deadline > now])
        result = self._result(batch.target, live) if live else _without_model([])
        answers = _bounded(result.answers)
        if len(live) < len(batch.questions):
            late = Failure(DeadlineExceeded.code, "the deadline passed before a replica was free")
            computed = iter(answers)
            answers = [next(computed) if question.deadline > now else late for question in batch.questions]
        if failed := sum([isinstance(answer, Failure) for answer in answers]):
            self._failed.inc(failed)
        self._ok.inc(len(answers) - failed)
        if _level.isEnabledFor(logging.DEBUG):  # or the ids would be collected for each batch
            log.debug(
                "batch", model=batch.target.label, version=batch.target.version, request_ids=_ids(batch.questions)
            )
        return Reply(batch.id, tuple(answers), result.inference_ms, result.provider, result.max_batch)

    def _result(self, target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        use = _use(target.project, target.model)
        self._busy.begin(use)
        try:
            return self._respond(target, questions)
        except TidepoolError as error:
            log.warning("batch failed", code=error.code, exc_info=True, **_log_ids(target, questions))
            failure = Failure(error.code, error.message)
        except Exception:
            log.exception("batch failed", code=TidepoolError.code, **_log_ids(target, questions))
            failure = Failure(TidepoolError.code, "an internal error")
        finally:
            self._busy.end(use)
        if (batch_span := current()) is not None:
            batch_span.set({"error.type": failure.code})
        return _without_model([failure] * len(questions))


@lru_cache(maxsize=1024)
def _use(project: str, model: str) -> Use:
    return Use(Purpose.ONLINE, model, project=project)


def _bounded(answers: list[Answer]) -> list[Answer]:
    """Replace answers by failures from where their outputs would have more than LARGEST_ANSWER bytes together."""
    total, bounded = 0, list[Answer]()
    for answer in answers:
        size = sum(len(tensor.data) for tensor in answer.tensors) if isinstance(answer, Outputs) else 0
        if total + size > LARGEST_ANSWER:
            message = "the outputs of the requests that shared a batch are too large together; try again"
            bounded.append(Failure(Overloaded.code, message))
        else:
            total += size
            bounded.append(answer)
    return bounded


def traced(batch: Batch | None) -> AbstractContextManager[Span | None]:
    """Record the block as the answer to a batch, if any of its requests is traced."""
    if batch is None or (traces := tracing()) is None:
        return _UNTRACED
    headers = (question.traceparent for question in batch.questions if question.traceparent)
    contexts = list(filter(None, map(TraceContext.parse, headers)))
    if not contexts:
        return _UNTRACED
    attributes: Attributes = {
        "tidepool.batch.id": batch.id,
        "tidepool.batch.size": len(batch.questions),
        "tidepool.model": batch.target.label,
        "tidepool.model.version": batch.target.version,
    }
    return ended(traces.batch(contexts, attributes))


def _without_model(answers: list[Answer]) -> BatchAnswers:
    """Wrap answers that were made without running a model."""
    return BatchAnswers(answers, 0.0, "", 0)


def _log_ids(target: Target, questions: tuple[Question, ...]) -> dict[str, Any]:
    return {"request_ids": _ids(questions), "project": target.project}


def _ids(questions: tuple[Question, ...]) -> list[str]:
    return [question.request_id for question in questions]
