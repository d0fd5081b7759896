"""The rights of each service to tables and objects, for servers that have users.

Workers process untrusted uploads, so code that runs in a worker can neither create API keys nor scale pools.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from contract.artifacts import Bucket
from services.storage.tables import metadata

Service = Literal["gateway", "sweep", "preprocess", "trainer", "inference", "autoscaler"]

_ALL = frozenset(metadata.tables)
_POOLS = frozenset({"pools", "pool_changes", "pool_limits"})
# preprocessing erases them, and puts them into versions
_REVIEWS = frozenset({"review_items", "review_answers", "feedback"})
_PEOPLE = _REVIEWS | {
    *("review_sampling", "sampling_counts", "drift_counts"),
    *("pipelines", "pipeline_runs"),
}
# Triggers write `job_counts` as the owner of the tables.
_WORKERS = (
    _ALL - _POOLS - _PEOPLE - {"api_keys", "idempotency", "audit", "projects", "sessions", "traffic", "job_counts"}
)
_READ_BY_WORKERS = frozenset({"projects", "review_sampling"})  # claims go by projects' weights; aliases are sampled


class TableRights(NamedTuple):
    """The tables that a service reads and writes, and those that it only reads."""

    writes: frozenset[str]
    reads: frozenset[str] = frozenset()


TABLES: Mapping[Service, TableRights] = {
    "gateway": TableRights(_ALL, reads=frozenset({"alembic_version"})),  # for the health report
    "sweep": TableRights(_ALL - {"api_keys", "sessions"}),
    "preprocess": TableRights(
        _WORKERS | _REVIEWS, reads=_READ_BY_WORKERS
    ),  # erases reviews, and makes versions of them
    "trainer": TableRights(_WORKERS, reads=_READ_BY_WORKERS),
    "inference": TableRights(_WORKERS | {"drift_counts"}, reads=_READ_BY_WORKERS),
    "autoscaler": TableRights(_POOLS, reads=frozenset({"jobs", "job_counts", "leads", "seats"})),
}

_READ = ("s3:GetObject",)
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_DELETE = ("s3:DeleteObject",)
_COLLECT = (*_DELETE, "s3:AbortMultipartUpload")
_LIST = ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads")

OBJECTS: Mapping[Service, Mapping[Bucket, tuple[str, ...]]] = {
    "gateway": {Bucket.UPLOADS: _READ + _WRITE + _DELETE, Bucket.JOBS: _READ},
    "sweep": {Bucket.UPLOADS: _COLLECT, Bucket.JOBS: _COLLECT},
    "preprocess": {Bucket.UPLOADS: _READ, Bucket.JOBS: _READ + _WRITE + _DELETE},
    "trainer": {Bucket.UPLOADS: _READ, Bucket.JOBS: _READ + _WRITE + _DELETE},
    "inference": {Bucket.UPLOADS: _READ, Bucket.JOBS: _READ + _WRITE + _DELETE},
}


def object_policy(service: Service, bucket_prefix: str) -> dict[str, Any]:
    """Return the service's policy as an AWS IAM document, which S3 servers understand."""
    statements = [
        statement
        for bucket, actions in OBJECTS[service].items()
        for statement in (
            _allow(_LIST, f"arn:aws:s3:::{bucket_prefix}{bucket}"),
            _allow(actions, f"arn:aws:s3:::{bucket_prefix}{bucket}/*"),
        )
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def bucket_policies(bucket_prefix: str) -> dict[str, dict[str, Any]]:
    """Return the same rights as a policy for each bucket, for servers whose users have none, such as Ceph.

    The users are named `tidepool-gateway` and so on, without a tenant. The right to delete is given for the bucket as
    well: Ceph asks there before it deletes several objects by one request.
    """
    return {
        f"{bucket_prefix}{bucket}": {
            "Version": "2012-10-17",
            "Statement": [
                statement | {"Principal": {"AWS": [f"arn:aws:iam:::user/tidepool-{service}"]}}
                for service, buckets in OBJECTS.items()
                if bucket in buckets
                for statement in (
                    _allow((*_LIST, *_deletions(buckets[bucket])), f"arn:aws:s3:::{bucket_prefix}{bucket}"),
                    _allow(buckets[bucket], f"arn:aws:s3:::{bucket_prefix}{bucket}/*"),
                )
            ],
        }
        for bucket in Bucket
    }


def _deletions(actions: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the actions that delete objects."""
    return tuple(action for action in actions if action in _DELETE)


def _allow(actions: tuple[str, ...], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": [resource]}
