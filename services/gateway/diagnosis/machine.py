"""The disk on which the gateway keeps uploads while they arrive, and indexes of images."""

import shutil
import tempfile
from collections.abc import Sequence

from contract.health import Check, passed, problem, warning

LOW_BYTES, VERY_LOW_BYTES = 5 << 30, 500 << 20
ADVICE = "Free some, or give the gateway a larger volume for temporary files: uploads pass through it."


def disk_checks() -> Sequence[Check]:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    message = f"{free / 2**30:.1f} GiB free for temporary files"
    if free < VERY_LOW_BYTES:
        return (problem("gateway", "disk", message, ADVICE),)
    return (passed("gateway", "disk", message) if free >= LOW_BYTES else warning("gateway", "disk", message, ADVICE),)
