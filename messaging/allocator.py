"""Settings of the C library's memory allocator."""

import ctypes
from typing import Any

LARGE = 1 << 20  # bytes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


def return_large_blocks() -> bool:
    """Return the memory of blocks of LARGE bytes and more to the system when they are freed.

    By default, glibc raises the threshold for this to the largest block that was ever freed, up to 32 MiB, and takes
    later ones from its heap. There they stay when anything smaller lies above them, so that a gateway which has
    received a few large tensors grows by hundreds of megabytes. Returns False if the C library has no such setting.
    """
    library: Any = ctypes.CDLL(None)
    try:
        mallopt = library.mallopt
    except AttributeError:  # musl, macOS
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE) and mallopt(M_TRIM_THRESHOLD, 8 * LARGE))
