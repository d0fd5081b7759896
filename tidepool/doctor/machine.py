"""Check this machine: cores, memory, free disk, the GPU's driver, and ONNX Runtime."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from contract import __version__
from contract.control_groups import Limits, allowed_cores, limits
from contract.health import Check, passed, problem, warning
from tidepool.stack.child import SOURCE
from tidepool.stack.home import Home
from tidepool.stack.services import VISIBLE, gpu_count

GIB = 2**30
FEW_CORES = 2
LITTLE_MEMORY, TOO_LITTLE_MEMORY = 2 * GIB, GIB // 2  # a stack at rest takes about 1 GiB, a training 1 to 2
LITTLE_DISK, TOO_LITTLE_DISK = 5 * GIB, GIB
PROBE_S = 20.0  # of importing ONNX Runtime on a busy machine
CUDA = "CUDAExecutionProvider"

_GPU_BUILD = "To use it, install the build for GPUs: pip install onnxruntime-gpu[cuda,cudnn] in place of onnxruntime."


def machine_checks(home: Home) -> Iterator[Check]:
    """Yield the checks of the machine that this process runs on; takes seconds, for ONNX Runtime."""
    bounds = limits()
    yield passed("machine", "software", f"Tidepool {__version__}, Python {platform.python_version()}")
    yield cores_check(len(allowed_cores()), bounds)
    yield memory_check(psutil.virtual_memory(), bounds)
    yield disk_check(home.path)
    yield from gpu_checks(gpu_count(os.environ), probe())


def cores_check(cores: int, bounds: Limits) -> Check:
    usable = cores if bounds.cores is None else min(cores, bounds.cores)
    message = f"{cores} to use"
    if usable < cores:
        message += f", of which the container may use the time of {usable:g}"
    if usable >= FEW_CORES:
        return passed("machine", "cores", message)
    advice = f"Give Tidepool {FEW_CORES} cores or more; with fewer, predictions wait while a model is trained."
    return warning("machine", "cores", message, advice)


def memory_check(memory: Any, bounds: Limits) -> Check:
    """Check what is free; `memory` is what psutil.virtual_memory() returns."""
    total, free = memory.total, memory.available
    message = ""
    if bounds.memory_bytes is not None and bounds.memory_bytes < total:
        total, free = bounds.memory_bytes, min(free, bounds.memory_bytes - (bounds.used_bytes or 0))
        message = ", the limit of the container"
    message = f"{free / GIB:.1f} GiB free of {total / GIB:.1f} GiB{message}"
    advice = "Stop other programs, scale pools down (`tidepool scale`), or add memory: a training takes 1 to 2 GiB."
    return _graded("memory", message, free, LITTLE_MEMORY, TOO_LITTLE_MEMORY, advice)


def disk_check(folder: Path) -> Check:
    existing = next(
        path for path in (folder, *folder.parents) if os.access(path, os.F_OK)
    )  # exists() may raise PermissionError
    free = shutil.disk_usage(existing).free
    message = f"{free / GIB:.1f} GiB free for {folder}"
    if not os.access(existing, os.W_OK):
        advice = "Set TIDEPOOL_HOME to a folder that you own."
        return problem("machine", "disk", f"{existing} cannot be written", advice)
    advice = "Free some, delete data sets or models that are not needed, or set TIDEPOOL_HOME to a larger disk."
    return _graded("disk", message, free, LITTLE_DISK, TOO_LITTLE_DISK, advice)


def probe() -> Mapping[str, Any] | None:
    """Ask ONNX Runtime and the GPU's driver in a process of its own; None if it does not run here."""
    command = [sys.executable, "-m", "services.inference.engine.hardware"]
    try:
        output = subprocess.run(
            command, cwd=SOURCE, capture_output=True, text=True, timeout=PROBE_S, check=True, stdin=subprocess.DEVNULL
        ).stdout
        answer: Mapping[str, Any] = json.loads(output.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return answer


def gpu_checks(installed: int, answer: Mapping[str, Any] | None) -> Iterator[Check]:
    """Yield the checks of the GPUs and of ONNX Runtime; `installed` is how many the kernel's driver shows."""
    if answer is None:
        advice = "For predictions on this machine, install Tidepool's packages again: `make clean`, then `make up`."
        yield warning("machine", "onnxruntime", "it cannot be imported here, or took too long", advice)
        return
    cards, cuda = answer["gpus"], CUDA in answer["providers"]
    names = ", ".join(f"{card['name']} ({card['free_bytes'] / GIB:.0f} GiB free)" for card in cards)
    if cards:
        hidden = f", of which {VISIBLE} shows {installed}" if installed < len(cards) else ""
        yield passed("machine", "gpu", f"{names}; driver {answer['driver']}{hidden}")
    elif installed:
        advice = "Does `nvidia-smi` work? Install the driver's libraries, or start the container with the GPU."
        yield problem("machine", "gpu", f"{installed} in this machine, but the driver does not answer", advice)
    else:
        yield passed("machine", "gpu", "none, so models run on the processor")
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in answer["providers"])
    message = f"{answer['onnxruntime']} with {providers}"
    if cards and not cuda:
        yield warning("machine", "onnxruntime", f"{message}, which cannot use the GPU", _GPU_BUILD)
    else:
        yield passed("machine", "onnxruntime", message)


def _graded(name: str, message: str, free: int, little: int, too_little: int, advice: str) -> Check:
    if free >= little:
        return passed("machine", name, message)
    return (problem if free < too_little else warning)("machine", name, message, advice)
