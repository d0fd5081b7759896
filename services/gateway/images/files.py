"""Reads single images of a dataset version from the object store: thumbnails from shards, originals from the upload."""

import hashlib
import io

import numpy as np
from PIL import Image

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest
from contract.errors import BadImage, Corrupt
from contract.image_index import ImageRecord
from media.archives.limits import Limits
from media.archives.places import Place, read_member
from services.storage.objects import Objects

THUMBNAIL_SIDE = 256  # pixels
QUALITY = 85
_CHANGED = "the image's original is not what was prepared"


def read_thumbnail(objects: Objects, manifest: DatasetManifest, image: ImageRecord) -> bytes:
    """Return a JPEG of an image as training sees it, at most THUMBNAIL_SIDE pixels a side.

    It comes from the pixels in the shard, so the gateway decodes no untrusted file. Raises ObjectsUnavailable, Corrupt.
    """
    shard = manifest.shards[image.split][image.shard]
    shape = manifest.image.shape
    size = int(np.prod(shape))
    start = shard.images.size - (shard.count - image.row) * size  # the header's size varies
    pixels = np.frombuffer(objects.read_slice(shard.images, start, size), np.uint8).reshape(shape)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def read_original(objects: Objects, upload: ObjectRef, place: Place, sha256: str) -> bytes:
    """Return an image's bytes as they were uploaded.

    Raises ObjectsUnavailable, and Corrupt if the bytes do not have this hash.
    """
    packed = objects.read_slice(upload, place.start, place.stop - place.start)
    try:
        file = read_member(packed, place, Limits())
    except BadImage as error:
        raise Corrupt(_CHANGED) from error
    if hashlib.sha256(file).hexdigest() != sha256:
        raise Corrupt(_CHANGED)
    return file
