"""A prediction of an alias that is sampled for reviews, until its answer and that of the shadow are known."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from contract.inference import Scores, Target
from contract.sampling import ReviewSampling
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.sampling.admission import SampledAlias


class SamplingPlan(NamedTuple):
    """How the requests for an alias are sampled; part of its routing."""

    alias: SampledAlias
    settings: ReviewSampling
    since: datetime
    has_shadow: bool


Offer = Callable[[SamplingPlan, Target, bytes, str, Scores, str | None], None]
"""Gets the plan, the version, the image, the prediction's id, its scores, and the class that the shadow chose."""


class Observation:
    """One prediction that may be sampled: waits for its answer and, if there is a shadow, for that of the shadow."""

    __slots__ = ("_file", "_missing", "_offer", "_other", "_plan", "_prediction", "_scores", "_target", "_then")

    def __init__(
        self, offer: Offer, plan: SamplingPlan, target: Target, file: bytes, prediction: str, then: Then
    ) -> None:
        """`then` gets the outcome as well, and `offer` what is known of a prediction that was answered."""
        self._offer = offer
        self._plan = plan
        self._target = target
        self._file = file
        self._prediction = prediction
        self._then = then
        self._scores: Scores | None = None
        self._other: str | None = None
        self._missing = 2 if plan.has_shadow else 1  # answers

    def answered(self, outcome: BatchedAnswer | Exception) -> None:
        """Pass the outcome on; then look at it."""
        self._then(outcome)
        if isinstance(outcome, BatchedAnswer) and isinstance(outcome.answer, Scores):
            self._scores = outcome.answer
            self._complete()

    def compare(self, answer: object) -> None:
        """Look at the shadow's answer, None if it has failed."""
        if isinstance(answer, Scores):
            self._other = answer.best[0][0]
        self._complete()

    def _complete(self) -> None:
        self._missing -= 1
        if self._missing == 0 and self._scores is not None:
            self._offer(self._plan, self._target, self._file, self._prediction, self._scores, self._other)
