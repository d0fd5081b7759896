"""Take versions out of service whose runs take too long again and again."""

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import structlog

from contract.errors import DatabaseUnavailable, DeadlineExceeded, NotFound
from contract.inference import Failure, Question, Target
from contract.references import Reference
from messaging.answering import BatchAnswers, Respond
from messaging.version_labels import version_labels
from services.inference.metrics import QUARANTINED, STOPPED
from services.storage.catalog.models import Models
from services.storage.catalog.routes import quarantined

log = structlog.get_logger()

STOPS = 3  # batches in a row
STUCK_STATUS = 70  # of the process, when a run cannot be stopped


class Version(NamedTuple):
    """A version of a model in a project."""

    project: str
    reference: Reference

    @classmethod
    def of(cls, target: Target) -> "Version":
        return cls(target.project, Reference(name=target.model, version=target.version))


class Quarantine:
    """Counts, by version, the batches in a row of which a run was stopped; at three, the version is quarantined.

    The catalog has the quarantine, so gateways stop sending requests within a second. The count is this replica's: a
    batch that ends resets it, and telling all replicas of each would cost more than the few further runs that other
    replicas may have to stop. Batches that have been sent already are refused. While the database does not answer, the
    quarantine is only this replica's, and recorded with the next batch.

    A run that ONNX Runtime cannot stop quarantines its version at once and ends this process, which is started again.
    Its batches are sent once more to other replicas; those read the catalog before the first batch of a version.
    """

    def __init__(self, models_of: Callable[[str], Models], limit_s: float) -> None:
        """`models_of` returns the models of a project; `limit_s` is the longest run."""
        self._models_of = models_of
        self._reason = (
            f"{STOPS} batches in a row took more than {limit_s:g} s for one run of the model and were stopped"
        )
        self._stuck_reason = f"a run of the model could not be stopped after {limit_s:g} s, so its replica was ended"
        self._stops: dict[Version, int] = {}
        self._unrecorded: dict[Version, str] = {}
        self._running: dict[int, Version] = {}  # by thread

    def guard(self, respond: Respond) -> Respond:
        """Return `respond` for versions that are not quarantined; for others it raises Conflict."""

        def guarded(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
            version = Version.of(target)
            self._check(version)
            thread = threading.get_ident()
            self._running[thread] = version
            try:
                answers = respond(target, questions)
            except DeadlineExceeded:
                self._stopped(version, target.label)
                raise
            finally:
                del self._running[thread]
            if any(isinstance(answer, Failure) and answer.code == DeadlineExceeded.code for answer in answers.answers):
                self._stopped(version, target.label)
            else:
                self._stops[version] = 0
            return answers

        return guarded

    def end_process(self, thread: int) -> None:
        """Quarantine the version that a thread runs and end this process; does nothing if the thread runs none."""
        version = self._running.get(thread)
        if version is None:
            return
        log.error("a run cannot be stopped, so the replica ends", version=str(version.reference))
        self._record(version, self._stuck_reason)
        os._exit(STUCK_STATUS)

    def _check(self, version: Version) -> None:
        """Raise Conflict if the version is quarantined; reads the catalog if it is, or before its first batch."""
        stops = self._stops.get(version)
        if stops is not None and stops < STOPS:
            return
        if (reason := self._reason_now(version)) is not None:
            self._stops[version] = STOPS
            raise quarantined(version.reference, reason)
        self._stops[version] = 0

    def _reason_now(self, version: Version) -> str | None:
        """Return why the version is quarantined, or None if it is not, or a person has lifted the quarantine."""
        reason = self._unrecorded.get(version)
        if reason is not None:
            self._record(version, reason)
            return reason
        try:
            return self._models_of(version.project).quarantined(version.reference)
        except (DatabaseUnavailable, NotFound):
            return self._reason if version in self._stops else None

    def _stopped(self, version: Version, label: str) -> None:
        STOPPED.labels(*version_labels.of(label, version.reference.version or 0)).inc()
        count = self._stops[version] = self._stops.get(version, 0) + 1
        log.warning("a run was stopped", project=version.project, version=str(version.reference), in_a_row=count)
        if count >= STOPS:
            self._record(version, self._reason)

    def _record(self, version: Version, reason: str) -> None:
        try:
            self._models_of(version.project).quarantine(version.reference, reason)
        except DatabaseUnavailable:
            self._unrecorded[version] = reason
            log.warning("cannot record the quarantine: no database", version=str(version.reference))
        else:
            self._unrecorded.pop(version, None)
            QUARANTINED.inc()
            log.error("version quarantined", project=version.project, version=str(version.reference), reason=reason)
