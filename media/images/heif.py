"""AVIF and HEIC files."""

from PIL.AvifImagePlugin import AvifImageFile
from pillow_heif import HeifImageFile

from media.images.limits import LARGE
from media.images.source import Request, Source, simple

_WEIGHT = 2  # decoded planes beside the pixels


def avif_source(data: bytes, request: Request) -> Source:
    """Return the first image of an AVIF file; libavif leaves rotation and mirroring to EXIF orientation."""
    return _alone(simple(AvifImageFile, data, _WEIGHT))


def heic_source(data: bytes, request: Request) -> Source:
    """Return the primary image of a HEIC file; libheif rotates and mirrors it, and EXIF orientation is unset."""
    return _alone(simple(HeifImageFile, data, _WEIGHT))


def _alone(source: Source) -> Source:
    # The inner bitstream may be larger than the header says, and the libraries decode it in several threads anyway.
    return source._replace(cost=max(source.cost, LARGE + 1))
