"""Uploads straight to the object store, through presigned URLs."""

import hashlib
from itertools import count

from contract.catalog import Upload
from tidepool_client._sync.transport import Transport
from tidepool_client.errors import ApiError, ClientError, Invalid, NotFound
from tidepool_client.files import FileBody, FilePath, OnBytes, UploadFile, opened, sha256_of, silent
from tidepool_client.folder import FolderZip
from tidepool_client.references import path
from tidepool_client.responses import NewUpload, given, parsed


class Uploads:
    """`client.uploads`. Needs an object store that this machine reaches."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(
        self, filename: str, size: int, *, sha256: str | None = None, idempotency_key: str | None = None
    ) -> NewUpload:
        """Announce a file of `size` bytes; the response has the presigned `url` to PUT it to, valid for an hour.

        >>> upload = client.uploads.create("pets.zip", size=4096)
        >>> upload.filename, upload.complete
        ('pets.zip', False)
        """
        headers = given(**{"Idempotency-Key": idempotency_key})
        body = {"filename": filename, "size": size} | given(sha256=sha256)
        return parsed(NewUpload, self._http.create(path("uploads"), json=body, headers=headers))

    def complete(self, upload_id: str) -> Upload:
        """Let the server check size and hash; from then on a job can use the upload."""
        return parsed(Upload, self._http.call("POST", path("uploads", upload_id, "complete")))

    def delete(self, upload_id: str) -> None:
        """Delete an upload that no job and no version needs."""
        self._http.delete(path("uploads", upload_id))

    def send(self, source: FilePath, *, on_bytes: OnBytes | None = None) -> Upload:
        """Upload a file, or a folder as a zip, and return the complete upload, whose hash the server has verified.

        Calling it again after an interruption continues: within a day, the same file is the same upload, and is not
        sent again if the object store has all of it. A PUT that breaks off starts again from the file's beginning.
        """
        filename, archive = opened(source, None)
        with archive as file:
            digest = sha256_of(file)
            key = hashlib.sha256(f"{filename}\0{file.size}\0{digest}".encode()).hexdigest()
            upload = self.create(filename, file.size, sha256=digest, idempotency_key=key)
            try:
                return self.complete(upload.id)
            except (NotFound, Invalid):  # the object store does not have the file, or not all of it
                self._put(upload.url, file, on_bytes)
            try:
                return self.complete(upload.id)
            except NotFound:  # an upload that is not completed within a day is deleted
                upload = self.create(filename, file.size, sha256=digest)
                self._put(upload.url, file, on_bytes)
                return self.complete(upload.id)

    def _put(self, url: str, file: UploadFile | FolderZip, on_bytes: OnBytes | None) -> None:
        file.on_bytes = on_bytes or silent
        for attempt in count():
            try:
                return self._http.put(url, FileBody(file), file.size)
            except ClientError as error:
                if isinstance(error, ApiError) and error.status < 500:
                    raise
                self._http.pause(error, attempt)
        raise AssertionError("unreachable")
