"""Measurements in processes of their own, so that memory and threads start afresh.

Each is a module that is run with the files of its request and of its result, both JSON.
"""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.page import Line
from contract.choices import Choice

MANIFEST = "manifest.json"  # in the folder of a prepared data set


def main(measure: Callable[[Line], Line]) -> None:
    """Answer the request of the command line."""
    request, result = map(Path, sys.argv[1:])
    result.write_text(json.dumps(measure(json.loads(request.read_text()))))


def peak_mib() -> float:
    """Return the largest resident size of this process or of one that it started.

    VmHWM starts afresh with each program. The size of a child counts its parent's until it runs its own program, which
    does not change the maximum of both.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def pairs(choices: tuple[Choice, ...]) -> list[tuple[str, Any, str]]:
    """Return decisions as JSON: what, value and because."""
    return [(choice.what, choice.value, choice.because) for choice in choices]
