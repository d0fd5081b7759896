"""The in-memory twin of the object store; tests assert on its `content`."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Corrupt, NotFound


class MemoryObjects:
    """Objects in a dict, with the promises of S3Objects."""

    def __init__(self) -> None:
        self.content: dict[tuple[Bucket, str], bytes] = {}

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        self.content[bucket, key] = source if isinstance(source, bytes) else source.read_bytes()
        return self.adopt(bucket, key)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        return self.put(bucket, key, stream.read())

    def read(self, ref: ObjectRef) -> bytes:
        data = self.content.get((ref.bucket, ref.key))
        if data is None:
            raise Corrupt("an artifact that the catalog points at is gone from the object store")
        if (len(data), hashlib.sha256(data).hexdigest()) != (ref.size, ref.sha256):
            raise Corrupt("an artifact read from the object store is not what was written")
        return data

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        path.write_bytes(self.read(ref))

    def adopt(self, bucket: Bucket, key: str) -> ObjectRef:
        data = self.content.get((bucket, key))
        if data is None:
            raise NotFound("the object store has no such object")
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def delete(self, bucket: Bucket, prefix: str) -> int:
        doomed = [(where, key) for where, key in self.content if where == bucket and key.startswith(prefix)]
        for entry in doomed:
            del self.content[entry]
        return len(doomed)

    def prefixes(self, bucket: Bucket, prefix: str = "") -> list[str]:
        rest = [key[len(prefix) :] for where, key in self.content if where == bucket and key.startswith(prefix)]
        return sorted({f"{prefix}{key.split('/')[0]}/" for key in rest if "/" in key})

    def upload_url(self, bucket: Bucket, key: str) -> str:
        return f"memory://{bucket}/{key}"

    def download_url(self, ref: ObjectRef) -> str:
        return f"memory://{ref.bucket}/{ref.key}"

    def ping(self) -> None:
        return None
