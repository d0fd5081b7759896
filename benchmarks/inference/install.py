"""Installs every peer in a virtual environment of its own; one that fails is left out of the benchmark."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.inference.peers.requirements import PACKAGES, SHARED

ENVIRONMENTS = Path(__file__).parents[1] / ".venvs"
PYTHON = "python3.11"  # PyTriton's server is linked to the library of exactly this one, as Debian has it


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment."""
    return ENVIRONMENTS / peer / "bin" / "python"


def installed(peer: str) -> bool:
    """Whether the peer's environment holds what it is to hold."""
    done = ENVIRONMENTS / peer / ".installed"
    return done.exists() and done.read_text() == _wanted(peer)


def install(peer: str) -> bool:
    """Make the peer's environment, or leave one that is there; False if that fails."""
    if installed(peer):
        return True
    print(f"Installing {peer}", flush=True)
    folder = ENVIRONMENTS / peer
    folder.mkdir(parents=True, exist_ok=True)
    python = shutil.which(PYTHON, path="/usr/bin") or sys.executable
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with (folder / "install.log").open("wb") as log:
        for command in ([python, "-m", "venv", str(folder)], [*pip, *_wanted(peer).split()]):
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                print(f"{peer} cannot be installed here; see {folder.relative_to(Path.cwd())}/install.log")
                return False
    (folder / ".installed").write_text(_wanted(peer))
    return True


def _wanted(peer: str) -> str:
    return "\n".join((*PACKAGES[peer], *SHARED))


if __name__ == "__main__":
    for each in PACKAGES:
        install(each)
