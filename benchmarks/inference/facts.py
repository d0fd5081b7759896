"""The machine and the software versions of a benchmark run."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import psutil

from benchmarks.inference.contender import CORES
from benchmarks.inference.install import ENVIRONMENTS, installed
from benchmarks.inference.peers.requirements import PACKAGES

PACKAGES_USED = ("tidepool", "onnxruntime", "torch", "celery", "kombu", "redis", "uvicorn", "simplejpeg", "numpy")


def facts() -> dict[str, str]:
    """Return the machine, the load generator and the versions, without host names or paths."""
    return machine() | {
        "load generator": _wrk(),
        **{name: importlib.metadata.version(name) for name in PACKAGES_USED},
        **{peer: _version(peer) for peer in PACKAGES if installed(peer)},
    }


def machine() -> dict[str, str]:
    """Return CPU, cores, memory and system."""
    return {
        "CPU": _processor(),
        "cores": str(CORES),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def versions(*packages: str) -> str:
    """Return packages with their versions."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _wrk() -> str:
    output = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return " ".join(output.split()[:2])


def _version(peer: str) -> str:
    """Return the version of the peer's main package in its environment."""
    package = PACKAGES[peer][0].partition("==")[0].partition("[")[0]
    (site,) = (ENVIRONMENTS / peer / "lib").glob("python*/site-packages")
    (distribution,) = importlib.metadata.distributions(name=package, path=[str(site)])
    return distribution.version
