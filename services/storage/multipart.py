"""Multipart uploads: an object that is stored part by part, and appears when its parts are joined."""

from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from minio import Minio
from pydantic import SecretStr

from contract.artifacts import Bucket
from services.storage.object_errors import mapped_errors
from services.storage.presigned_put import require_size

PRESIGNED_FOR = timedelta(hours=1)


class StoredPart(NamedTuple):
    """A part in the object store; `size` in bytes."""

    number: int
    size: int


class Multipart(Protocol):
    """Multipart uploads of an object store: of S3 in production, in memory in tests.

    A part that is sent again replaces the earlier one. Methods with an `upload_id` raise NotFound if that was joined,
    aborted, or lost by the store.
    """

    def begin(self, bucket: Bucket, key: str) -> str:
        """Begin an upload; return its id."""

    def put(self, bucket: Bucket, key: str, upload_id: str, number: int, data: bytes) -> None:
        """Store a part; all but the last have at least 5 MiB, and there are at most 10,000."""

    def url(self, bucket: Bucket, key: str, upload_id: str, number: int, size: int) -> str:
        """Return a presigned URL for a PUT of exactly `size` bytes as this part, valid for an hour."""

    def parts(self, bucket: Bucket, key: str, upload_id: str) -> list[StoredPart]:
        """List the stored parts by their numbers."""

    def join(self, bucket: Bucket, key: str, upload_id: str) -> None:
        """Make the object from all stored parts; one of the same key is replaced."""


class S3Multipart:
    """Multipart uploads by the `minio` SDK, which has only private methods for single parts."""

    def __init__(self, client: Minio, public: Minio, prefix: str, secret_key: SecretStr) -> None:
        self._client = client
        self._public = public
        self._prefix = prefix
        self._secret_key = secret_key

    def begin(self, bucket: Bucket, key: str) -> str:
        with mapped_errors():
            return self._client._create_multipart_upload(self._prefix + bucket, key, {})

    def put(self, bucket: Bucket, key: str, upload_id: str, number: int, data: bytes) -> None:
        with mapped_errors():
            self._client._upload_part(self._prefix + bucket, key, data, None, upload_id, number)

    def url(self, bucket: Bucket, key: str, upload_id: str, number: int, size: int) -> str:
        part: dict[str, str | list[str] | tuple[str]] = {"partNumber": str(number), "uploadId": upload_id}
        place = (self._prefix + bucket, key)
        url = self._public.get_presigned_url("PUT", *place, expires=PRESIGNED_FOR, extra_query_params=part)
        return require_size(url, size, self._secret_key.get_secret_value())

    def parts(self, bucket: Bucket, key: str, upload_id: str) -> list[StoredPart]:
        return [StoredPart(number, size) for number, (size, _) in self._listed(bucket, key, upload_id).items()]

    def join(self, bucket: Bucket, key: str, upload_id: str) -> None:
        with mapped_errors():
            stored = [part for _, part in self._listed(bucket, key, upload_id).values()]
            self._client._complete_multipart_upload(self._prefix + bucket, key, upload_id, stored)

    def _listed(self, bucket: Bucket, key: str, upload_id: str) -> dict[int, tuple[int, Any]]:
        """Return the size and the SDK's object of each part, by number.

        A page begins after the marker of the previous one; rclone's begins at it, which does no harm.
        """
        listed: dict[int, tuple[int, Any]] = {}
        marker = None
        with mapped_errors():
            while True:
                page = self._client._list_parts(self._prefix + bucket, key, upload_id, part_number_marker=marker)
                before = len(listed)
                listed |= {part.part_number: (part.size or 0, part) for part in page.parts}
                if not page.is_truncated or len(listed) == before:
                    return dict(sorted(listed.items()))
                marker = str(page.next_part_number_marker)
