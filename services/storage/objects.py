"""The object store: immutable objects in S3, whose hash is checked at every read."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.datatypes import ListMultipartUploadsResult
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError

from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.errors import Corrupt, NotFound, ObjectsUnavailable, TidepoolError
from services.storage.multipart import PRESIGNED_FOR, Multipart, S3Multipart
from services.storage.object_errors import NOT_AS_WRITTEN, mapped_errors
from services.storage.presigned_put import require_size
from services.storage.settings import ObjectsSettings

CHUNK = 1 << 20
DOWNLOAD_FOR = timedelta(minutes=5)  # to begin it; short, because the URL outlives the key that asked for it


class Entry(NamedTuple):
    """One object in a listing; `modified_at` is by the object store's clock, `size` in bytes."""

    key: str
    modified_at: datetime
    size: int


class Unfinished(NamedTuple):
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


class Artifacts(Protocol):
    """The part of an object store that jobs use."""

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        """Store a file or bytes; raises ObjectsUnavailable."""

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        """Store a seekable stream; raises ObjectsUnavailable."""

    def read(self, ref: ObjectRef) -> bytes:
        """Return the object's bytes; raises Corrupt if they are not what was written."""

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        """Return some of the object's bytes; raises Corrupt if they do not have the hash of the range."""

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        """Stream the object to a file; raises Corrupt, and leaves no file, if it is not what was written."""


class Objects(Artifacts, Protocol):
    """An object store: `S3Objects` in production, `MemoryObjects` in tests."""

    @property
    def multipart(self) -> Multipart:
        """The multipart uploads of the store."""

    def read_slice(self, ref: ObjectRef, start: int, size: int) -> bytes:
        """Return some of the object's bytes, whose hash is not checked; raises Corrupt if they are missing."""

    def size(self, bucket: Bucket, key: str) -> int:
        """Return the size of an object without reading it; raises NotFound."""

    def adopt(self, bucket: Bucket, key: str) -> ObjectRef:
        """Hash an object that a client stored through a presigned URL; raises NotFound."""

    def delete(self, bucket: Bucket, prefix: str) -> int:
        """Delete every object under a prefix; return their number."""

    def remove(self, bucket: Bucket, keys: Collection[str]) -> None:
        """Delete these objects; a key that does not exist is not an error."""

    def entries(self, bucket: Bucket, prefix: str = "") -> list[Entry]:
        """List all objects of a bucket, or those whose keys have a prefix."""

    def unfinished(self, bucket: Bucket) -> list[Unfinished]:
        """List multipart uploads that have not ended, at least the first thousand."""

    def abort(self, bucket: Bucket, upload: Unfinished) -> None:
        """Delete the parts of a multipart upload; one that has ended is not an error."""

    def prefixes(self, bucket: Bucket, prefix: str = "") -> list[str]:
        """List the folders directly under a prefix, each ending in '/'."""

    def upload_url(self, bucket: Bucket, key: str, size: int) -> str:
        """Return a presigned URL for a PUT of exactly this many bytes, valid for an hour."""

    def download_url(self, ref: ObjectRef) -> str:
        """Return a presigned URL for GET, valid for five minutes."""

    def ping(self) -> None:
        """Raise ObjectsUnavailable unless the store answers."""


class S3Objects:
    """Objects in any S3 store, by the `minio` SDK."""

    def __init__(self, settings: ObjectsSettings) -> None:
        self._prefix = settings.bucket_prefix
        self._client = client_of(settings, settings.endpoint)
        self._public = client_of(settings, settings.public_endpoint or settings.endpoint)
        self._secret_key = settings.secret_key
        self._multipart = S3Multipart(self._client, self._public, self._prefix, settings.secret_key)

    @property
    def multipart(self) -> Multipart:
        return self._multipart

    def make_buckets(self) -> None:
        """Create the buckets that are missing."""
        with mapped_errors():
            for bucket in Bucket:
                if not self._client.bucket_exists(self._prefix + bucket):
                    self._client.make_bucket(self._prefix + bucket)

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            return self.put_stream(bucket, key, stream)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        digest, size = hashlib.sha256(), 0
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
        stream.seek(0)
        with mapped_errors():
            self._client.put_object(self._prefix + bucket, key, stream, size)
        return ObjectRef(bucket=bucket, key=key, size=size, sha256=digest.hexdigest())

    def read(self, ref: ObjectRef) -> bytes:
        return b"".join(self._checked(ref))

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        with missing_is_corrupt():
            data = b"".join(self._chunks(ref.bucket, ref.key, span.start, span.stop - span.start))
        return checked(data, span)

    def read_slice(self, ref: ObjectRef, start: int, size: int) -> bytes:
        with missing_is_corrupt():
            data = b"".join(self._chunks(ref.bucket, ref.key, start, size))
        return complete(data, size)

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        try:
            with path.open("wb") as file:
                for chunk in self._checked(ref):
                    file.write(chunk)
        except TidepoolError:
            path.unlink()
            raise

    def size(self, bucket: Bucket, key: str) -> int:
        with mapped_errors():
            return self._client.stat_object(self._prefix + bucket, key).size or 0

    def adopt(self, bucket: Bucket, key: str) -> ObjectRef:
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks(bucket, key):
            digest.update(chunk)
            size += len(chunk)
        return ObjectRef(bucket=bucket, key=key, size=size, sha256=digest.hexdigest())

    def delete(self, bucket: Bucket, prefix: str) -> int:
        with mapped_errors():
            listed = self._client.list_objects(self._prefix + bucket, prefix, recursive=True)
            keys = [item.object_name for item in listed if item.object_name]
        self.remove(bucket, keys)
        return len(keys)

    def remove(self, bucket: Bucket, keys: Collection[str]) -> None:
        with mapped_errors():
            for error in self._client.remove_objects(self._prefix + bucket, map(DeleteObject, keys)):
                raise ObjectsUnavailable(f"the object store did not delete an object ({error.code})")

    def entries(self, bucket: Bucket, prefix: str = "") -> list[Entry]:
        with mapped_errors():
            return [
                Entry(item.object_name, item.last_modified, item.size or 0)
                for item in self._client.list_objects(self._prefix + bucket, prefix, recursive=True)
                if item.object_name and item.last_modified
            ]

    def unfinished(self, bucket: Bucket) -> list[Unfinished]:
        with mapped_errors():
            # the SDK has no public method; its private one sends an empty delimiter, for which rclone lists nothing
            try:
                response = self._client._execute("GET", self._prefix + bucket, query_params={"uploads": ""})
            except InvalidResponseError as error:  # rclone answers so until the first multipart upload of a bucket
                if "NoSuchUpload" not in str(error):
                    raise
                return []
            listed = ListMultipartUploadsResult(response)
        return [
            Unfinished(upload.object_name, upload.upload_id, upload.initiated_time)
            for upload in listed.uploads
            if upload.upload_id and upload.initiated_time
        ]

    def abort(self, bucket: Bucket, upload: Unfinished) -> None:
        with suppress(NotFound), mapped_errors():
            self._client._abort_multipart_upload(self._prefix + bucket, upload.key, upload.upload_id)

    def prefixes(self, bucket: Bucket, prefix: str = "") -> list[str]:
        with mapped_errors():
            listed = self._client.list_objects(self._prefix + bucket, prefix)
            return [item.object_name for item in listed if item.is_dir and item.object_name]

    def upload_url(self, bucket: Bucket, key: str, size: int) -> str:
        url = self._public.presigned_put_object(self._prefix + bucket, key, PRESIGNED_FOR)
        return require_size(url, size, self._secret_key.get_secret_value())

    def download_url(self, ref: ObjectRef) -> str:
        return self._public.presigned_get_object(self._prefix + ref.bucket, ref.key, DOWNLOAD_FOR)

    def ping(self) -> None:
        with mapped_errors():
            self._client.bucket_exists(self._prefix + Bucket.JOBS)

    def _checked(self, ref: ObjectRef) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        with missing_is_corrupt():
            for chunk in self._chunks(ref.bucket, ref.key):
                digest.update(chunk)
                size += len(chunk)
                yield chunk
        if (size, digest.hexdigest()) != (ref.size, ref.sha256):
            raise Corrupt(NOT_AS_WRITTEN)

    def _chunks(self, bucket: Bucket, key: str, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `offset`, `length` of them, or all if it is 0."""
        with mapped_errors():
            try:
                response = self._client.get_object(self._prefix + bucket, key, offset, length)
            except InvalidResponseError:
                # rclone's errors are text/xml, which the SDK cannot parse; a HEAD has no body, so its error is usable
                stat = self._client.stat_object(self._prefix + bucket, key)
                if offset and offset >= (stat.size or 0):
                    raise Corrupt(NOT_AS_WRITTEN) from None
                raise
            try:
                yield from response.stream(CHUNK, decode_content=False)  # a gzipped object stays gzipped
            finally:
                response.close()
                response.release_conn()


def checked(data: bytes, span: ByteRange) -> bytes:
    """Return the data of a range; raises Corrupt if they are not what was written."""
    if (len(data), hashlib.sha256(data).hexdigest()) != (span.stop - span.start, span.sha256):
        raise Corrupt(NOT_AS_WRITTEN)
    return data


def complete(data: bytes, size: int) -> bytes:
    """Return the data of a slice; raises Corrupt if there are fewer bytes than `size`."""
    if len(data) != size:
        raise Corrupt(NOT_AS_WRITTEN)
    return data


@contextmanager
def missing_is_corrupt() -> Iterator[None]:
    """Map NotFound to Corrupt, because the object has been written."""
    try:
        yield
    except NotFound as error:
        raise Corrupt("an object that the catalog refers to is missing from the object store") from error


def client_of(settings: ObjectsSettings, endpoint: str) -> Minio:
    url = urlsplit(endpoint)
    return Minio(
        url.netloc,
        access_key=settings.access_key.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value(),
        region=settings.region,  # otherwise presigning would ask the server for it
        secure=url.scheme == "https",
        http_client=urllib3.PoolManager(
            maxsize=16, timeout=urllib3.Timeout(connect=3, read=30), retries=urllib3.Retry(total=2, backoff_factor=0.2)
        ),
    )
