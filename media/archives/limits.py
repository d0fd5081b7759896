"""Limits on the size of an archive and its members."""

from dataclasses import dataclass, field

from media.images.limits import max_pixels

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits for one archive; sizes are bytes after inflating, `pixels` is that of the setting
    TIDEPOOL_MAX_PIXELS."""

    members: int = 200_000
    member_bytes: int = 64 * MIB
    total_bytes: int = 8192 * MIB
    ratio: int = 200  # inflated to compressed size of members over 1 MiB inflated; deflate's maximum is 1032
    pixels: int = field(default_factory=max_pixels)
