"""The only place that says on what the benchmark ran."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import psutil

from benchmarks.inference.contender import CORES
from benchmarks.inference.install import ENVIRONMENTS, installed
from benchmarks.inference.peers.requirements import PACKAGES

OURS = ("tidepool", "onnxruntime", "torch", "celery", "kombu", "redis", "uvicorn", "simplejpeg", "numpy")


def facts() -> dict[str, str]:
    """The machine, the load generator and the versions, without names or paths."""
    return machine() | {
        "load generator": _wrk(),
        **{name: importlib.metadata.version(name) for name in OURS},
        **{peer: _version(peer) for peer in PACKAGES if installed(peer)},
    }


def machine() -> dict[str, str]:
    """What it ran on."""
    return {
        "CPU": _processor(),
        "cores": str(CORES),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _wrk() -> str:
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split()[:2])


def _version(peer: str) -> str:
    """Of the package that its environment was made for."""
    package = PACKAGES[peer][0].partition("==")[0].partition("[")[0]
    (site,) = (ENVIRONMENTS / peer / "lib").glob("python*/site-packages")
    (found,) = importlib.metadata.distributions(name=package, path=[str(site)])
    return found.version
