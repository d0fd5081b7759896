"""Copies images of an uploaded archive, so that people can review them one by one."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from contract.artifacts import Bucket, ObjectRef, review_key
from contract.errors import BadImage, Conflict
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from media.output_rows import OutputRow
from services.storage.objects import Objects
from services.storage.people.queue import new_id

MOST_ARCHIVE_BYTES = 4 << 30


def copied_images(
    objects: Objects, upload: ObjectRef, project: str, rows: Sequence[OutputRow]
) -> Iterator[tuple[OutputRow, ObjectRef]]:
    """Store a copy of each image of an archive; images that it no longer has are left out.

    The collector deletes copies that no item of the queue refers to. Raises BadArchive, Conflict, ObjectsUnavailable.
    """
    if not rows:
        return
    if upload.size > MOST_ARCHIVE_BYTES:
        raise Conflict("the archive has over 4 GiB; make a dataset of it, predict its split, and send that job")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload")
        objects.fetch(upload, path)
        with Archive(path, Limits(), Rejections()) as archive:
            names = set(archive.names)
            for row in rows:
                if row.image not in names:
                    continue
                try:
                    file = archive.read(row.image)
                except BadImage:
                    continue
                if hashlib.sha256(file).hexdigest() == row.sha256:
                    yield row, objects.put(Bucket.UPLOADS, review_key(new_id(), project), file)
