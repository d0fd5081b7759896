"""S3Objects on a real S3 server: presigned URLs, other clients, damage on the disk, and outages."""

import gzip
import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from contract.artifacts import Bucket
from contract.errors import Corrupt, NotFound, ObjectsUnavailable, Unavailable
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from tests.examples import ONNX_FILE
from tests.support.servers import s3_server

USES: list[Callable[[S3Objects], object]] = [
    lambda store: store.ping(),
    lambda store: store.put(Bucket.JOBS, "x", b"x"),
    lambda store: store.read(ONNX_FILE),
    lambda store: store.adopt(Bucket.JOBS, "x"),
    lambda store: store.size(Bucket.JOBS, "x"),
    lambda store: store.unfinished(Bucket.JOBS),
    lambda store: store.multipart.begin(Bucket.JOBS, "x"),
    lambda store: store.multipart.parts(Bucket.JOBS, "x", "id"),
    lambda store: store.delete(Bucket.JOBS, "x"),
    lambda store: store.prefixes(Bucket.JOBS),
    lambda store: store.entries(Bucket.JOBS),
    lambda store: store.remove(Bucket.JOBS, ["x"]),
    lambda store: store.make_buckets(),
]


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"{uuid.uuid4()}/x"


def on_disk(server_folder: Path, key: str) -> Path:
    return server_folder / "s3" / "s3" / "tidepool-jobs" / key


def test_making_the_buckets_again_keeps_their_objects(objects: S3Objects, key: str) -> None:
    ref = objects.put(Bucket.JOBS, key, b"hello")

    objects.make_buckets()

    assert objects.read(ref) == b"hello"


def test_a_client_uploads_and_downloads_through_presigned_urls(objects: S3Objects, key: str) -> None:
    # when
    put = httpx.put(objects.upload_url(Bucket.UPLOADS, key, 5), content=b"hello")

    # then
    assert put.status_code == 200
    ref = objects.adopt(Bucket.UPLOADS, key)
    assert objects.read(ref) == b"hello"
    assert httpx.get(objects.download_url(ref)).content == b"hello"


def test_a_presigned_url_permits_one_operation_on_one_object(objects: S3Objects, key: str) -> None:
    ref = objects.put(Bucket.UPLOADS, key, b"hello")
    upload, download = objects.upload_url(Bucket.UPLOADS, key, 5), objects.download_url(ref)

    refused = [
        httpx.get(upload),
        httpx.put(download, content=b"other"),
        httpx.put(upload.replace(key, "other"), content=b"other"),
        httpx.get(download.replace("X-Amz-Expires=300&", "X-Amz-Expires=36000&")),
        httpx.get(download.partition("?")[0]),
    ]

    assert all(400 <= answer.status_code < 404 for answer in refused)
    assert objects.read(ref) == b"hello"


@pytest.mark.parametrize("name", ["x", "with space", "ünï+&?%.zip"])
def test_a_presigned_url_permits_a_file_of_one_size(objects: S3Objects, key: str, name: str) -> None:
    url = objects.upload_url(Bucket.UPLOADS, key + name, 5)

    refused = [
        httpx.put(url, content=b"hello, and more"),
        httpx.put(url, content=b"hell"),
        httpx.put(url, content=b""),
        httpx.put(url, content=iter([b"hello", b" in chunks"])),
        httpx.put(url.replace("content-length%3Bhost", "host"), content=b"hello, and more"),
        httpx.put(url.replace("content-length%3Bhost", "host"), content=b"hello"),
    ]

    assert all(400 <= answer.status_code < 404 for answer in refused), [answer.status_code for answer in refused]
    with pytest.raises(NotFound):
        objects.size(Bucket.UPLOADS, key + name)
    assert httpx.put(url, content=b"hello").status_code == 200
    assert objects.size(Bucket.UPLOADS, key + name) == 5


def test_an_interrupted_multipart_upload_is_listed_and_aborted(objects: S3Objects, boto: Any, key: str) -> None:
    # given a client that stopped after its first part, and one that was faster
    begun = {"Bucket": "tidepool-uploads", "Key": key}
    begun["UploadId"] = boto.create_multipart_upload(**begun)["UploadId"]
    boto.upload_part(**begun, PartNumber=1, Body=bytes(5 << 20))
    listed = [upload for upload in objects.unfinished(Bucket.UPLOADS) if upload.key == key]
    assert [upload.upload_id for upload in listed] == [begun["UploadId"]]
    assert abs(listed[0].started_at - datetime.now(UTC)) < timedelta(minutes=5)

    # when it is aborted, also twice
    for _ in range(2):
        objects.abort(Bucket.UPLOADS, listed[0])

    # then nothing is left, and it cannot go on
    assert key not in {upload.key for upload in objects.unfinished(Bucket.UPLOADS)}
    with pytest.raises(ClientError):
        boto.upload_part(**begun, PartNumber=2, Body=b"x")


def test_parts_are_stored_in_any_order_listed_and_joined(objects: S3Objects, key: str) -> None:
    # given parts out of order, one of them twice, one by a presigned URL
    place, data = (Bucket.UPLOADS, key), [bytes([number]) * (5 << 20) for number in range(3)] + [b"end"]
    begun = objects.multipart.begin(*place)
    for number in (1, 3, 1):
        objects.multipart.put(*place, begun, number, data[number - 1])
    url = objects.multipart.url(*place, begun, 2, 5 << 20)
    assert httpx.put(url, content=data[1][1:]).status_code == 403  # of another size
    assert [part.number for part in objects.multipart.parts(*place, begun)] == [1, 3]
    assert httpx.put(url, content=data[1]).status_code == 200
    objects.multipart.put(*place, begun, 4, data[3])

    # when they are joined
    assert objects.multipart.parts(*place, begun) == [(1, 5 << 20), (2, 5 << 20), (3, 5 << 20), (4, 3)]
    objects.multipart.join(*place, begun)

    # then they are one object, and the upload is gone
    assert objects.read(objects.adopt(*place)) == b"".join(data)
    for use in (objects.multipart.parts, objects.multipart.join):
        with pytest.raises(NotFound):
            use(*place, begun)
    with pytest.raises(NotFound):
        objects.multipart.put(*place, begun, 1, b"x")


def test_a_bucket_that_never_had_a_multipart_upload_lists_none(s3_settings: ObjectsSettings) -> None:
    store = S3Objects(s3_settings.model_copy(update={"bucket_prefix": f"new-{uuid.uuid4().hex[:8]}-"}))
    store.make_buckets()

    assert store.unfinished(Bucket.UPLOADS) == []


def test_presigned_urls_use_the_public_endpoint(s3_settings: ObjectsSettings) -> None:
    public = s3_settings.model_copy(update={"public_endpoint": "https://files.example.org"})
    store = S3Objects(public)

    for url in (store.upload_url(Bucket.UPLOADS, "x", 1), store.download_url(ONNX_FILE)):
        assert url.startswith("https://files.example.org/tidepool-")


def test_compressed_bytes_are_returned_unchanged(objects: S3Objects, key: str) -> None:
    archive = gzip.compress(b"0" * 100_000)

    url = objects.upload_url(Bucket.UPLOADS, key, len(archive))
    httpx.put(url, content=archive, headers={"Content-Encoding": "gzip"})

    ref = objects.adopt(Bucket.UPLOADS, key)
    assert (ref.size, ref.sha256) == (len(archive), hashlib.sha256(archive).hexdigest())
    assert objects.read(ref) == archive


def test_a_large_file_is_stored_in_parts_and_read_whole(objects: S3Objects, key: str, tmp_path: Path) -> None:
    # given more than three of the SDK's parts of 5 MiB
    data = hashlib.shake_128(b"seed").digest(17 << 20)
    (tmp_path / "large").write_bytes(data)

    # when
    ref = objects.put(Bucket.JOBS, key, tmp_path / "large")

    # then
    assert (ref.size, ref.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    objects.fetch(ref, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == data


def test_another_client_reads_what_we_wrote(objects: S3Objects, boto: Any, key: str) -> None:
    objects.put(Bucket.JOBS, key, b"hello")

    assert boto.get_object(Bucket="tidepool-jobs", Key=key)["Body"].read() == b"hello"


def test_we_read_what_another_client_wrote(objects: S3Objects, boto: Any, key: str) -> None:
    boto.put_object(Bucket="tidepool-jobs", Key=key, Body=b"hello")

    assert objects.read(objects.adopt(Bucket.JOBS, key)) == b"hello"


def test_an_object_truncated_by_another_client_is_detected(objects: S3Objects, boto: Any, key: str) -> None:
    ref = objects.put(Bucket.JOBS, key, b"hello")

    boto.put_object(Bucket="tidepool-jobs", Key=key, Body=b"hell")

    with pytest.raises(Corrupt):
        objects.read(ref)


def test_a_flipped_bit_on_the_disk_is_detected(
    objects: S3Objects, server_folder: Path, key: str, tmp_path: Path
) -> None:
    # given
    ref = objects.put(Bucket.JOBS, key, b"hello")
    file = on_disk(server_folder, key)
    assert file.read_bytes() == b"hello"

    # when
    file.write_bytes(b"hellm")

    # then
    with pytest.raises(Corrupt):
        objects.read(ref)
    with pytest.raises(Corrupt):
        objects.fetch(ref, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_truncated_on_the_disk_is_detected(
    objects: S3Objects, server_folder: Path, key: str, tmp_path: Path
) -> None:
    ref = objects.put(Bucket.JOBS, key, b"hello" * 1000)

    on_disk(server_folder, key).write_bytes(b"hello")

    # one kind of server announces the old size and breaks off, another sends a short file
    with pytest.raises(Unavailable):
        objects.read(ref)
    with pytest.raises(Unavailable):
        objects.fetch(ref, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_wrong_secret_key_makes_the_store_unavailable(objects: S3Objects, s3_settings: ObjectsSettings) -> None:
    objects.put(Bucket.JOBS, "x", b"x")
    stranger = S3Objects(s3_settings.model_copy(update={"secret_key": SecretStr("wrong")}))

    for use in USES:
        with pytest.raises(ObjectsUnavailable):
            use(stranger)


def test_a_stopped_server_makes_the_store_unavailable(tmp_path: Path) -> None:
    # given
    with s3_server(tmp_path) as server:
        store = S3Objects(
            ObjectsSettings(
                endpoint=server.url, access_key=SecretStr(server.access_key), secret_key=SecretStr(server.secret_key)
            )
        )
        store.make_buckets()

    # then
    for use in USES[:3]:  # each tries three times, with waits
        with pytest.raises(ObjectsUnavailable):
            use(store)
