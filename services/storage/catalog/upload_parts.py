"""An upload that is sent in parts, so that after an interruption only those that are not stored are sent again."""

import math
from contextlib import suppress

from contract.artifacts import Bucket, upload_key
from contract.catalog import Upload
from contract.errors import Conflict, Invalid, NotFound
from services.storage.catalog.uploads import Uploads
from services.storage.multipart import StoredPart
from services.storage.objects import Objects, Unfinished

PART_BYTES = 8 << 20
MOST_PARTS = 10_000  # that S3 permits


def part_size(size: int) -> int:
    """Return the bytes of each part but the last, of an upload of `size` bytes."""
    return max(PART_BYTES, math.ceil(size / MOST_PARTS))


class UploadParts:
    """The parts of one upload: a multipart upload of the object store, begun with the first part.

    Sizes follow from that of the upload, so that parts never hold more than what was announced.
    """

    def __init__(self, uploads: Uploads, objects: Objects, upload: Upload, project: str) -> None:
        self._uploads = uploads
        self._objects = objects
        self._upload = upload
        self._place = (Bucket.UPLOADS, upload_key(upload.id, project))
        self.part_size = part_size(upload.size)
        starts = range(0, upload.size, self.part_size)
        self._sizes = {number: min(self.part_size, upload.size - start) for number, start in enumerate(starts, 1)}
        self.count = len(self._sizes)

    def size_of(self, number: int) -> int:
        """Return the bytes of a part; raises Invalid if the upload has no such part, Conflict if it is complete."""
        if number not in self._sizes:
            raise Invalid(f"this upload has the parts 1 to {self.count}, of {self.part_size} bytes each but the last")
        if self._upload.complete:
            raise Conflict("the upload is complete and takes no more parts")
        return self._sizes[number]

    def stored(self) -> list[StoredPart]:
        """List the parts that need not be sent again: all of them if the object exists already."""
        begun = self.begun
        parts = self._listed(begun)
        if parts is not None:
            return parts
        if self._is_object():
            return [StoredPart(number, size) for number, size in self._sizes.items()]
        if begun is not None:  # lost by the store
            self._uploads.set_multipart(self._upload.id, begun, None)
        return []

    def put(self, number: int, data: bytes) -> None:
        """Store a part; raises what `size_of` raises, and Invalid if it has another size."""
        self.require_size(number, len(data))
        try:
            self._objects.multipart.put(*self._place, self._begun(), number, data)
        except NotFound:  # the store has lost what was begun
            self.stored()
            self._objects.multipart.put(*self._place, self._begun(), number, data)

    def require_size(self, number: int, size: int) -> None:
        """Raise Invalid unless the part has this size, and what `size_of` raises."""
        if size != (right := self.size_of(number)):
            raise Invalid(f"part {number} of this upload has {right} bytes, not {size}")

    def url(self, number: int) -> str:
        """Return a presigned URL for a PUT of a part; raises what `size_of` raises."""
        size = self.size_of(number)
        return self._objects.multipart.url(*self._place, self._begun(), number, size)

    def join(self) -> None:
        """Make the object, if parts were sent; raises Invalid if some are missing and there is no object either."""
        begun = self.begun
        parts = self._listed(begun)
        if parts is None or begun is None:
            return
        stored = {part.number for part in parts}
        missing = [number for number in self._sizes if number not in stored]
        if not missing:
            with suppress(NotFound):  # a simultaneous request was faster
                self._objects.multipart.join(*self._place, begun)
        elif not self._is_object():
            raise Invalid(
                f"{len(missing)} of {self.count} parts are missing, the first is part {missing[0]}; send them, then "
                "complete the upload"
            )

    @property
    def complete(self) -> bool:
        return self._upload.complete

    @property
    def begun(self) -> str | None:
        """The object store's id of the multipart upload; None before the first part."""
        return self._uploads.multipart(self._upload.id)

    def abort(self, begun: str | None) -> None:
        """Delete the parts that are stored."""
        if begun is not None:
            self._objects.abort(self._place[0], Unfinished(self._place[1], begun, self._upload.created_at))

    def _begun(self) -> str:
        """Return the id of the multipart upload; begin one if there is none."""
        if (current := self.begun) is not None:
            return current
        begun = self._objects.multipart.begin(*self._place)
        kept = self._uploads.set_multipart(self._upload.id, None, begun)
        if kept != begun:  # a simultaneous request was faster, or the upload was deleted
            self.abort(begun)
        if kept is None:
            raise NotFound("there is no such upload")
        return kept

    def _listed(self, begun: str | None) -> list[StoredPart] | None:
        """Return the stored parts of the right size; None if no multipart upload is open."""
        if begun is None:
            return None
        try:
            parts = self._objects.multipart.parts(*self._place, begun)
        except NotFound:
            return None
        return [part for part in parts if part.size == self._sizes.get(part.number)]

    def _is_object(self) -> bool:
        try:
            return self._objects.size(*self._place) == self._upload.size
        except NotFound:
            return False
