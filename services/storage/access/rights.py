"""The only place that says what each service may do with tables and objects, where the servers tell services apart.

What strangers upload is read by workers. So whatever runs in one can neither make an API key nor scale a pool.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from contract.artifacts import Bucket
from services.storage.tables import metadata

Service = Literal["gateway", "sweep", "preprocess", "trainer", "inference", "autoscaler"]

_ALL = frozenset(metadata.tables)
_POOLS = frozenset({"pools", "pool_changes"})
_WORKERS = _ALL - _POOLS - {"api_keys", "idempotency"}


class TableRights(NamedTuple):
    """The tables whose rows a service reads and writes, and those that it only reads."""

    writes: frozenset[str]
    reads: frozenset[str] = frozenset()


TABLES: Mapping[Service, TableRights] = {
    "gateway": TableRights(_ALL),
    "sweep": TableRights(_ALL - {"api_keys"}),
    "preprocess": TableRights(_WORKERS),
    "trainer": TableRights(_WORKERS),
    "inference": TableRights(_WORKERS),
    "autoscaler": TableRights(_POOLS, reads=frozenset({"jobs"})),
}

_READ = ("s3:GetObject",)
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_DELETE = ("s3:DeleteObject",)
_LOOK = ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads")

OBJECTS: Mapping[Service, Mapping[Bucket, tuple[str, ...]]] = {
    "gateway": {Bucket.UPLOADS: _READ + _WRITE + _DELETE, Bucket.JOBS: _READ},
    "sweep": {Bucket.JOBS: _DELETE},
    "preprocess": {Bucket.UPLOADS: _READ, Bucket.JOBS: _READ + _WRITE + _DELETE},
    "trainer": {Bucket.JOBS: _READ + _WRITE + _DELETE},
    "inference": {Bucket.UPLOADS: _READ, Bucket.JOBS: _READ + _WRITE + _DELETE},
}


def object_policy(service: Service, bucket_prefix: str) -> dict[str, Any]:
    """The service's policy in the language of AWS IAM, which S3 servers share."""
    statements = [
        statement
        for bucket, actions in OBJECTS[service].items()
        for statement in (
            _allow(_LOOK, f"arn:aws:s3:::{bucket_prefix}{bucket}"),
            _allow(actions, f"arn:aws:s3:::{bucket_prefix}{bucket}/*"),
        )
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: tuple[str, ...], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": [resource]}
