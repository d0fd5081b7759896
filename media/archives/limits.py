"""Limits on the size of an archive and its members."""

from dataclasses import dataclass

from media.images import MAX_PIXELS

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits for one archive; sizes are bytes after inflating, `pixels` is width times height of one image."""

    members: int = 200_000
    member_bytes: int = 64 * MIB
    total_bytes: int = 8192 * MIB
    ratio: int = 200  # inflated to compressed size of members over 1 MiB inflated; deflate's maximum is 1032
    pixels: int = MAX_PIXELS
