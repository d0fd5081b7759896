"""A running embedded object store, used through the `minio` SDK."""

import io
import os

import httpx
import pytest
from minio import Minio
from minio.error import MinioException, S3Error

from tests.integration.tidepool.tiny_stack import plan
from tidepool.stack.credentials import Credentials
from tidepool.stack.object_store import object_store
from tidepool.stack.pidfile import PidFile
from tidepool.stack.ports import HOST, free_ports
from tidepool.stack.stack import Stack

PART = 5 << 20  # bytes; the smallest part that S3 allows


@pytest.fixture
def port(stack: Stack) -> int:
    stack.home.create()
    (port,) = free_ports(1)
    stack.up(lambda: plan(object_store(stack.home, Credentials.of(stack.home), port, stage=0)))
    return port


@pytest.fixture
def client(port: int, stack: Stack) -> Minio:
    credentials = Credentials.of(stack.home)
    client = sdk(port, credentials.s3_access_key, credentials.s3_secret_key)
    client.make_bucket("shelf")
    return client


def sdk(port: int, access_key: str, secret_key: str) -> Minio:
    return Minio(f"{HOST}:{port}", access_key=access_key, secret_key=secret_key, region="us-east-1", secure=False)


def test_objects_are_put_read_listed_and_deleted(client: Minio) -> None:
    assert client.bucket_exists("shelf")
    assert not client.bucket_exists("cellar")
    client.put_object("shelf", "a/b", io.BytesIO(b"hello"), 5)
    assert client.stat_object("shelf", "a/b").size == 5
    assert client.get_object("shelf", "a/b").data == b"hello"
    assert client.get_object("shelf", "a/b", offset=1, length=3).data == b"ell"
    assert [item.object_name for item in client.list_objects("shelf", "a/", recursive=True)] == ["a/b"]
    client.remove_object("shelf", "a/b")
    with pytest.raises(S3Error, match="NoSuchKey"):
        client.stat_object("shelf", "a/b")


def test_a_multipart_upload(client: Minio) -> None:
    content = os.urandom(2 * PART + 1)
    client.put_object("shelf", "large", io.BytesIO(content), -1, part_size=PART)
    assert client.get_object("shelf", "large").data == content


def test_presigned_urls_work(client: Minio) -> None:
    put = httpx.put(client.presigned_put_object("shelf", "from outside"), content=b"hello")
    got = httpx.get(client.presigned_get_object("shelf", "from outside"))
    assert (put.status_code, got.status_code, got.content) == (200, 200, b"hello")


def test_bad_signatures_are_refused(client: Minio, port: int, stack: Stack) -> None:
    client.put_object("shelf", "secret", io.BytesIO(b"hello"), 5)
    forged = client.presigned_get_object("shelf", "secret")[:-4] + "0000"
    assert httpx.get(forged).status_code == 403
    assert httpx.get(f"http://{HOST}:{port}/shelf/secret").status_code == 400
    for access_key, secret_key in ((Credentials.of(stack.home).s3_access_key, "wrong"), ("nobody", "wrong")):
        with pytest.raises(MinioException, match="403"):
            sdk(port, access_key, secret_key).get_object("shelf", "secret")


def test_the_key_is_not_in_the_process_list(port: int, stack: Stack) -> None:
    process = PidFile(stack.home.pid("s3")).process()
    assert process
    command = " ".join(process.cmdline())
    assert f"{HOST}:{port}" in command
    assert Credentials.of(stack.home).s3_secret_key not in command
