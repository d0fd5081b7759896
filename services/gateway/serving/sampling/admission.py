"""Puts a chosen image into the review queue: its copy into the object store, then the item into the database."""

import hashlib
import random
from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

import structlog
import uuid_utils

from contract.artifacts import Bucket, review_key
from contract.errors import DatabaseUnavailable, ObjectsUnavailable, TidepoolError
from contract.inference import Scores, Target
from contract.reviews import MOST_GUESSES, NewReview
from contract.sampling import ReviewSampling, SampleSource
from services.storage.people.sampling_counts import Budgets, Counted
from services.storage.stores import Stores

log = structlog.get_logger()


class SampledAlias(NamedTuple):
    """An alias whose predictions are sampled."""

    project: str
    model: str
    alias: str


class Sample(NamedTuple):
    """A prediction that was chosen; `file` is the image as the client sent it."""

    alias: SampledAlias
    source: SampleSource
    target: Target
    file: bytes
    prediction: str
    scores: Scores


class Admission:
    """Runs in a thread. No error leaves it, except for Conflict if the alias was deleted."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def admit(self, sample: Sample, settings: ReviewSampling, budgets: Budgets, stored_bytes: int) -> str:
        """Put a sample whose `scores` have a copy into the queue; return why it is not there, "" if it is."""
        stores = self._stores.of(sample.alias.project)
        counts = stores.sampling_counts(sample.alias.model, sample.alias.alias)
        copy, label = sample.scores.copy, sample.scores.best[0][0]
        reserved, day = False, counts.today()
        try:
            if not stores.sampling.is_on(sample.alias.model, sample.alias.alias):  # it may have waited
                return "off"
            if counts.known(sample.source, hashlib.sha256(copy).hexdigest(), sample.target.version):
                return "duplicate"
            if stored_bytes + len(copy) > settings.max_bytes:
                return "bytes"
            if used_up := counts.reserve(sample.source, label, budgets, day):
                return used_up
            reserved = True
            key = review_key(str(uuid_utils.uuid7()), sample.alias.project)
            file = self._stores.objects.put(Bucket.UPLOADS, key, copy)
            expires_at = self._stores.database.now() + timedelta(days=settings.keep_days)
            added = stores.reviews.add(
                [
                    NewReview(
                        source=sample.source,
                        sha256=file.sha256,
                        original_sha256=hashlib.sha256(sample.file).hexdigest(),
                        model=sample.alias.model,
                        alias=sample.alias.alias,
                        model_version=sample.target.version,
                        prediction=sample.prediction,
                        file=file,
                        guess=sample.scores.best[:MOST_GUESSES],
                        margin=sample.scores.margin,
                        entropy=sample.scores.entropy,
                        priority=_priority(sample),
                        votes=settings.votes,
                        expires_at=expires_at,
                    )
                ]
            )
        except TidepoolError as error:
            if reserved:
                self._give_back(sample, label, day)
            return "store" if isinstance(error, ObjectsUnavailable) else "database"
        if not added:  # another gateway was faster
            self._give_back(sample, label, day)
        return "" if added else "duplicate"

    def sync(self, alias: SampledAlias, counts: Counter[str], measure: bool) -> Counted | None:
        """Add to the counters of an alias and return those of all gateways; None if the database does not answer."""
        try:
            return self._stores.of(alias.project).sampling_counts(alias.model, alias.alias).sync(counts, measure)
        except DatabaseUnavailable as error:
            log.info("samples not counted", model=alias.model, alias=alias.alias, code=error.code)
            return None

    def _give_back(self, sample: Sample, label: str, day: date) -> None:
        counts = self._stores.of(sample.alias.project).sampling_counts(sample.alias.model, sample.alias.alias)
        try:
            counts.give_back(sample.source, label, day)
        except TidepoolError as error:  # the day has one image less
            log.info("a reservation was lost", model=sample.alias.model, alias=sample.alias.alias, code=error.code)


def _priority(sample: Sample) -> float:
    """Return what is reviewed first; a random image has a random place, so that any part of the slice is random."""
    if sample.source == "margin" and sample.scores.margin is not None:
        return 1 - sample.scores.margin
    drawn = random.random()  # noqa: S311  no secret
    return drawn if sample.source == "random" else 0.5 + drawn / 2
