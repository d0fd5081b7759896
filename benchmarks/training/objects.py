"""An object store in a folder, so that data sets do not count as memory of the process that is measured."""

import hashlib
import shutil
from pathlib import Path

from contract.artifacts import Bucket, ByteRange, ObjectRef

Source = Path | bytes


class FolderObjects:
    """The part of an object store that handlers of jobs use; objects are files, named by bucket and key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, ref: ObjectRef) -> Path:
        """Return the file of an object."""
        return self._folder / ref.bucket / ref.key

    def put(self, bucket: Bucket, key: str, source: Source) -> ObjectRef:
        path = self._folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            shutil.copyfile(source, path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ObjectRef(bucket=bucket, key=key, size=path.stat().st_size, sha256=digest)

    def read(self, ref: ObjectRef) -> bytes:
        return self.path(ref).read_bytes()

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        with self.path(ref).open("rb") as file:
            file.seek(span.start)
            return file.read(span.stop - span.start)

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        shutil.copyfile(self.path(ref), path)
