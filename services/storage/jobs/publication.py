"""Publish the outcome of a job inside the transaction that ends it. Each kind registers its own functions."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from contract.division import Outcome
from contract.errors import TidepoolError
from contract.jobs import Job
from services.storage import publications

Columns = dict[str, Any]
"""Columns of the job's row to change: `result`, and `output` if the job wrote a file that clients download."""


def _reject_nothing(_connection: Connection, _job: Job, _error: TidepoolError, _now: datetime) -> Columns:
    return {}


@dataclass(frozen=True)
class Publication:
    """The functions that end jobs of one kind: `publish` on success, `reject` when one has failed permanently."""

    kind: str
    publish: Callable[[Connection, Job, Any, datetime], Columns]
    reject: Callable[[Connection, Job, TidepoolError, datetime], Columns] = _reject_nothing


_PUBLICATIONS: dict[str, Publication] = {}


def register(publication: Publication) -> None:
    """Add the publication of a kind; raises ValueError if the kind has another one."""
    if _PUBLICATIONS.setdefault(publication.kind, publication) != publication:
        raise ValueError(f"there are two publications for the job kind {publication.kind}")


def unregister(kind: str) -> None:
    """Remove a publication that a test has registered."""
    del _PUBLICATIONS[kind]


def publication_of(kind: str) -> Publication:
    """Return the publication of a kind; raises KeyError if it has none."""
    _discover()
    return _PUBLICATIONS[kind]


def publish(connection: Connection, job: Job, outcome: Outcome, now: datetime) -> Columns:
    """Register what the job produced; returns the columns of its row to change."""
    if type(outcome) is not job.kind.definition.outcome:
        raise TypeError(f"a {job.kind} job cannot publish a {type(outcome).__name__}")
    return publication_of(job.kind).publish(connection, job, outcome, now)


def reject(connection: Connection, job: Job, error: TidepoolError, now: datetime) -> Columns:
    """Register the outcome of a permanently failed job; returns the columns of its row to change, often none."""
    return publication_of(job.kind).reject(connection, job, error, now)


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(publications.__path__, f"{publications.__name__}."):
        importlib.import_module(module.name)
