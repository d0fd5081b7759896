"""Uploads of large files: straight to the object store through presigned URLs, or in parts through the gateway."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from contract.catalog import Upload
from tidepool_client._sync.transport import Transport
from tidepool_client.errors import ApiError, ClientError, Invalid, NotFound
from tidepool_client.files import (
    RESUMABLE,
    FilePath,
    OnBytes,
    UploadFile,
    chunks_of,
    opened,
    part_of,
    sent_chunks,
    sha256_of,
    silent,
)
from tidepool_client.folder import FolderZip
from tidepool_client.references import path
from tidepool_client.responses import NewUpload, StoredParts, given, parsed


class Uploads:
    """`client.uploads`. Presigned URLs need an object store that this machine reaches; parts do not."""

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

    def parts(self, upload_id: str) -> StoredParts:
        """Return which parts are stored, and the size of each part but the last.

        >>> upload = client.uploads.create("pets.zip", size=4096)
        >>> (client.uploads.parts(upload.id)).parts
        ()
        """
        return parsed(StoredParts, self._http.call("GET", path("uploads", upload_id, "parts")))

    def put_part(self, upload_id: str, number: int, data: bytes, *, on_bytes: OnBytes | None = None) -> None:
        """Send a part through the gateway; parts are counted from 1, and may be sent again and in any order.

        >>> upload = client.uploads.create("hello.txt", size=5)
        >>> client.uploads.put_part(upload.id, 1, b"hello")
        >>> (client.uploads.complete(upload.id)).complete
        True
        """
        body = Body(partial(sent_chunks, data, on_bytes or silent))
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(data))}
        self._http.request("PUT", path("uploads", upload_id, "parts", number), content=body, headers=headers)

    def part_url(self, upload_id: str, number: int) -> str:
        """Return a presigned URL to PUT a part to, valid for an hour."""
        response = self._http.call("POST", path("uploads", upload_id, "parts", number, "url"))
        return str(response["url"])

    def send(self, source: FilePath, *, on_bytes: OnBytes | None = None, direct: bool = True) -> Upload:
        """Upload a file, or a folder as a zip, and return the complete upload, whose hash the server has verified.

        The bytes go straight to the object store, or with `direct=False` through the gateway. Calling it again within a
        day after an interruption continues: the same file is the same upload, and the parts of a file of over 16 MiB
        that are stored already are not sent again.
        """
        filename, archive = opened(source, None)
        with archive as file:
            return Sender(self, self._http).send(filename, file, on_bytes or silent, direct)


class Sender:
    """Sends open files as uploads."""

    def __init__(self, uploads: Uploads, http: Transport) -> None:
        self._uploads = uploads
        self._http = http

    def send(self, filename: str, file: UploadFile | FolderZip, on_bytes: OnBytes, direct: bool) -> Upload:
        """Upload an open file, as `Uploads.send` does."""
        file.on_bytes = silent
        digest = sha256_of(file)
        key = hashlib.sha256(f"{filename}\0{file.size}\0{digest}".encode()).hexdigest()
        upload = self._uploads.create(filename, file.size, sha256=digest, idempotency_key=key)
        try:
            return self._sent(upload, file, on_bytes, direct)
        except NotFound:  # an upload that is not completed within a day is deleted
            upload = self._uploads.create(filename, file.size, sha256=digest)
            return self._sent(upload, file, on_bytes, direct)

    def _sent(self, upload: NewUpload, file: UploadFile | FolderZip, on_bytes: OnBytes, direct: bool) -> Upload:
        if upload.part_size and (file.size > RESUMABLE or not direct):
            self._put_missing(upload, file, on_bytes, direct)
            return self._uploads.complete(upload.id)
        try:
            return self._uploads.complete(upload.id)
        except (NotFound, Invalid):  # the object store does not have the file, or not all of it
            file.on_bytes = on_bytes
            self._put(upload.url, Body(partial(chunks_of, file)), file.size)
        return self._uploads.complete(upload.id)

    def _put_missing(self, upload: NewUpload, file: UploadFile | FolderZip, on_bytes: OnBytes, direct: bool) -> None:
        """Send the parts that are not stored."""
        stored = self._uploads.parts(upload.id)
        if stored.complete:
            return
        numbers = {part.number for part in stored.parts}
        file.seek(0)
        for number, start in enumerate(range(0, file.size, stored.part_size), 1):
            data = part_of(file, min(stored.part_size, file.size - start))
            report = partial(_report, on_bytes, start, file.size)
            if number in numbers:
                report(len(data), len(data))
            elif direct:
                url = self._uploads.part_url(upload.id, number)
                self._put(url, Body(partial(sent_chunks, data, report)), len(data))
            else:
                self._uploads.put_part(upload.id, number, data, on_bytes=report)

    def _put(self, url: str, body: "Body", size: int) -> None:
        """PUT to the object store, again if it breaks off."""
        for attempt in count():
            try:
                return self._http.put(url, body, size)
            except ClientError as error:
                if isinstance(error, ApiError) and error.status < 500:
                    raise
                self._http.pause(error, attempt)
        raise AssertionError("unreachable")


class Body:
    """The body of a PUT, whose chunks can be sent again."""

    def __init__(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks():
            yield chunk


def _report(on_bytes: OnBytes, before: int, total: int, sent: int, size: int) -> None:
    """Report the bytes of the file, from those of a part; `before` are the bytes of the earlier parts."""
    on_bytes(before + sent, total)
