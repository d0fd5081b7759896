"""The only place that says how much an archive may ask of a worker."""

from dataclasses import dataclass

from media.images import MAX_PIXELS

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on one archive; sizes are bytes after inflating, `pixels` is width times height of one picture."""

    members: int = 200_000
    member_bytes: int = 64 * MIB
    total_bytes: int = 8192 * MIB
    ratio: int = 200  # inflated by compressed size, of members that inflate to over 1 MiB; deflate's own limit is 1032
    pixels: int = MAX_PIXELS
