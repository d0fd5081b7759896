"""An object store in memory, for tests."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.errors import Corrupt, NotFound
from services.storage.database import Clock, utc_now
from services.storage.multipart import StoredPart
from services.storage.object_errors import NOT_AS_WRITTEN
from services.storage.objects import Entry, Unfinished, checked, complete, missing_is_corrupt


class MemoryObjects:
    """Objects in a dict with the guarantees of S3Objects; tests may assert on `content`."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.content: dict[tuple[Bucket, str], bytes] = {}
        self.parts: dict[tuple[Bucket, str], datetime] = {}
        """The multipart uploads that have not ended, with the times at which they began; tests may write to it."""
        self._modified_at: dict[tuple[Bucket, str], datetime] = {}
        self._clock = clock
        self.multipart = MemoryMultipart(self)

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        self._modified_at[bucket, key] = self._clock()
        self.content[bucket, key] = source if isinstance(source, bytes) else source.read_bytes()
        return self.adopt(bucket, key)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        return self.put(bucket, key, stream.read())

    def read(self, ref: ObjectRef) -> bytes:
        with missing_is_corrupt():
            data = self._data(ref.bucket, ref.key)
        if (len(data), hashlib.sha256(data).hexdigest()) != (ref.size, ref.sha256):
            raise Corrupt(NOT_AS_WRITTEN)
        return data

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        with missing_is_corrupt():
            return checked(self._data(ref.bucket, ref.key)[span.start : span.stop], span)

    def read_slice(self, ref: ObjectRef, start: int, size: int) -> bytes:
        with missing_is_corrupt():
            return complete(self._data(ref.bucket, ref.key)[start : start + size], size)

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        path.write_bytes(self.read(ref))

    def size(self, bucket: Bucket, key: str) -> int:
        return len(self._data(bucket, key))

    def adopt(self, bucket: Bucket, key: str) -> ObjectRef:
        data = self._data(bucket, key)
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def delete(self, bucket: Bucket, prefix: str) -> int:
        keys = self._keys(bucket, prefix)
        self.remove(bucket, keys)
        return len(keys)

    def remove(self, bucket: Bucket, keys: Collection[str]) -> None:
        for key in keys:
            self.content.pop((bucket, key), None)

    def entries(self, bucket: Bucket, prefix: str = "") -> list[Entry]:
        keys = sorted(self._keys(bucket, prefix))
        return [Entry(key, self._modified_at[bucket, key], len(self.content[bucket, key])) for key in keys]

    def unfinished(self, bucket: Bucket) -> list[Unfinished]:
        return [Unfinished(key, key, began) for (owner, key), began in self.parts.items() if owner == bucket]

    def abort(self, bucket: Bucket, upload: Unfinished) -> None:
        self.parts.pop((bucket, upload.key), None)
        self.multipart.open.pop(upload.upload_id, None)

    def prefixes(self, bucket: Bucket, prefix: str = "") -> list[str]:
        rest = [key[len(prefix) :] for key in self._keys(bucket, prefix)]
        return sorted({f"{prefix}{key.split('/')[0]}/" for key in rest if "/" in key})

    def upload_url(self, bucket: Bucket, key: str, size: int) -> str:
        return f"memory://{bucket}/{key}?size={size}"

    def download_url(self, ref: ObjectRef) -> str:
        return f"memory://{ref.bucket}/{ref.key}"

    def ping(self) -> None:
        return None

    def now(self) -> datetime:
        """The time by the store's clock."""
        return self._clock()

    def _data(self, bucket: Bucket, key: str) -> bytes:
        data = self.content.get((bucket, key))
        if data is None:
            raise NotFound("the object store has no such object")
        return data

    def _keys(self, bucket: Bucket, prefix: str = "") -> list[str]:
        return [key for owner, key in self.content if owner == bucket and key.startswith(prefix)]


class MemoryMultipart:
    """Multipart uploads of MemoryObjects; tests may read `open` and `received`."""

    def __init__(self, objects: MemoryObjects) -> None:
        self._objects = objects
        self.open: dict[str, dict[int, bytes]] = {}
        self.received = 0
        """The bytes of all parts, also those that were sent twice."""

    def begin(self, bucket: Bucket, key: str) -> str:
        self.open[key] = {}
        self._objects.parts[bucket, key] = self._objects.now()
        return key

    def put(self, bucket: Bucket, key: str, upload_id: str, number: int, data: bytes) -> None:
        self._parts(upload_id)[number] = data
        self.received += len(data)

    def url(self, bucket: Bucket, key: str, upload_id: str, number: int, size: int) -> str:
        return f"memory://{bucket}/{key}?uploadId={upload_id}&partNumber={number}&size={size}"

    def parts(self, bucket: Bucket, key: str, upload_id: str) -> list[StoredPart]:
        return [StoredPart(number, len(data)) for number, data in sorted(self._parts(upload_id).items())]

    def join(self, bucket: Bucket, key: str, upload_id: str) -> None:
        parts = self._parts(upload_id)
        self._objects.put(bucket, key, b"".join(parts[number] for number in sorted(parts)))
        del self.open[upload_id], self._objects.parts[bucket, key]

    def _parts(self, upload_id: str) -> dict[int, bytes]:
        if upload_id not in self.open:
            raise NotFound("the object store has no such upload")
        return self.open[upload_id]
