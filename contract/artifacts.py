"""Objects in the object store: buckets, keys, and references with size and SHA-256."""

from enum import StrEnum

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen, Sha256, Whole


class Bucket(StrEnum):
    UPLOADS = "uploads"  # archives and models, as uploaded
    JOBS = "jobs"  # written by attempts: shards, checkpoints, models


class ObjectRef(Frozen):
    """An immutable object; every read is checked against its size (bytes) and hash."""

    bucket: Bucket
    key: str
    size: Whole
    sha256: Sha256


class ByteRange(Frozen):
    """The bytes of an object from `start` up to but not including `stop`, with a hash of their own."""

    start: Whole
    stop: Whole
    sha256: Sha256


def upload_key(upload_id: str, project: str = DEFAULT_PROJECT) -> str:
    return f"{_prefix(project)}{upload_id}"


def attempt_prefix(job_id: str, fence: int, project: str = DEFAULT_PROJECT) -> str:
    """The key prefix of one attempt; its objects are invisible until the job's row refers to them."""
    return f"{_prefix(project)}{job_id}/attempts/{fence}/"


def _prefix(project: str) -> str:
    """Return the start of the keys of a project's objects; the default project keeps the keys of older releases."""
    return "" if project == DEFAULT_PROJECT else f"{project}/"
