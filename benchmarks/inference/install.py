"""Install each peer in its own virtual environment; a peer that fails is left out of the benchmark."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inference.peers.requirements import PACKAGES, SHARED

ENVIRONMENTS = Path(__file__).parents[1] / ".venvs"
PYTHON = "python3.11"  # PyTriton's server is linked against Debian's libpython of this version


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return ENVIRONMENTS / peer / "bin" / "python"


def installed(peer: str, packages: Sequence[str] = ()) -> bool:
    """Return whether the peer's environment is complete and current; `packages` are by default those of PACKAGES."""
    done = ENVIRONMENTS / peer / ".installed"
    return done.exists() and done.read_text() == _requirements(peer, packages)


def ready(peer: str) -> bool:
    """Return whether the peer can be started; brings an environment up to date that has older requirements."""
    return installed(peer) or (python_of(peer).exists() and install(peer))


def install(peer: str, packages: Sequence[str] = ()) -> bool:
    """Create the peer's environment unless it exists; returns False if that fails."""
    if installed(peer, packages):
        return True
    print(f"Installing {peer}", flush=True)
    folder = ENVIRONMENTS / peer
    folder.mkdir(parents=True, exist_ok=True)
    python = shutil.which(PYTHON, path="/usr/bin") or sys.executable
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with (folder / "install.log").open("wb") as log:
        for command in ([python, "-m", "venv", str(folder)], [*pip, *_requirements(peer, packages).split()]):
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                print(f"{peer} cannot be installed here; see {folder.relative_to(Path.cwd())}/install.log")
                return False
    (folder / ".installed").write_text(_requirements(peer, packages))
    return True


def _requirements(peer: str, packages: Sequence[str]) -> str:
    return "\n".join(packages or (*PACKAGES[peer], *SHARED))


if __name__ == "__main__":
    for peer in PACKAGES:
        install(peer)
