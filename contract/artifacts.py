"""Objects in the object store: buckets, keys, and references with size and SHA-256."""

from enum import StrEnum

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen, Sha256, Whole

_REVIEWS = "reviews"


class Bucket(StrEnum):
    UPLOADS = "uploads"  # archives and models, as uploaded; copies of images in the review queue
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


def review_key(review_id: str, project: str = DEFAULT_PROJECT) -> str:
    """Return the key of the copy of an image in the review queue, in the bucket of uploads."""
    return f"{project}/{_REVIEWS}/{review_id}"


def attempt_prefix(job_id: str, fence: int, project: str = DEFAULT_PROJECT) -> str:
    """The key prefix of one attempt; its objects are invisible until the job's row refers to them."""
    return f"{_prefix(project)}{job_id}/attempts/{fence}/"


def attempt_of(key: str) -> str | None:
    """Return the prefix of the attempt that wrote an object, as of `attempt_prefix`; None for other objects."""
    parts = key.split("/")
    for length in (3, 4):  # of the default project, and of another one, whose name comes first
        if len(parts) > length and parts[length - 2] == "attempts":
            return "/".join(parts[:length]) + "/"
    return None


def project_of(bucket: Bucket, key: str) -> str:
    """Return the project whose name the key of an object has; objects of unknown origin belong to the default one."""
    owner = key if bucket is Bucket.UPLOADS else attempt_of(key) or ""
    parts = owner.split("/")
    if bucket is Bucket.UPLOADS and len(parts) == 3 and parts[1] == _REVIEWS:
        return parts[0]
    return parts[0] if len(parts) == (2 if bucket is Bucket.UPLOADS else 5) else DEFAULT_PROJECT


def _prefix(project: str) -> str:
    """Return the start of the keys of a project's objects; the default project keeps the keys of older releases."""
    return "" if project == DEFAULT_PROJECT else f"{project}/"
