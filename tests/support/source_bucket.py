"""A bucket of the real S3 server as a source of datasets."""

import io
import json
from collections.abc import Mapping

import pytest
from minio import Minio

from tests.support.servers import S3Server


def source_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str, files: Mapping[str, bytes]) -> Minio:
    """Store files in a bucket that datasets may come from; the environment names the server as Tidepool's store."""
    for name, value in {"ENDPOINT": s3.url, "ACCESS_KEY": s3.access_key, "SECRET_KEY": s3.secret_key}.items():
        monkeypatch.setenv(f"TIDEPOOL_S3_{name}", value)
    monkeypatch.setenv("TIDEPOOL_S3_SOURCES", json.dumps({"own": {"buckets": [bucket, "none"]}}))
    client = Minio(
        s3.url.removeprefix("http://"),
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        secure=False,
        region="us-east-1",
    )
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    for name, data in files.items():
        client.put_object(bucket, name, io.BytesIO(data), len(data))
    return client
