"""Where bytes live: buckets, the key layout, and references that carry a SHA-256."""

from enum import StrEnum

from contract.base import Frozen, Sha256, Whole


class Bucket(StrEnum):
    UPLOADS = "uploads"  # archives as they came
    JOBS = "jobs"  # what attempts wrote: shards, checkpoints, models


class ObjectRef(Frozen):
    """One immutable object, with the size in bytes and the hash that every read is checked against."""

    bucket: Bucket
    key: str
    size: Whole
    sha256: Sha256


def upload_key(upload_id: str) -> str:
    return f"{upload_id}"


def attempt_prefix(job_id: str, fence: int) -> str:
    """The folder of one attempt; nothing in it is visible until the job's row points at it."""
    return f"{job_id}/attempts/{fence}/"
