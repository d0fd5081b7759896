"""The lineage of a trained model: what is needed to train it again."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract import __version__
from contract.control_groups import available_cores
from contract.datasets import DatasetManifest
from contract.kinds.train import TrainSpec
from contract.lineage import Lineage
from contract.references import ReferenceText

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "pillow")
ROOT = Path(__file__).parents[2]


class BuildSettings(BaseSettings):
    """What an image says about its code; every variable starts with TIDEPOOL_BUILD_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_BUILD_", env_ignore_empty=True)

    commit: str | None = Field(default=None, description="Git commit of the code, for the lineage of models.")


def lineage_of(spec: TrainSpec, dataset: DatasetManifest, device: str, parent: ReferenceText | None = None) -> Lineage:
    """Return the lineage of a model trained by `spec`, a spec with pinned references.

    `device` is that of the training, as in `ModelManifest.device`, and `parent` the model that it started from.
    """
    return Lineage(
        data_sha256=dataset.data_sha256,
        code_version=code_version(),
        spec=spec.model_dump(mode="json", exclude_none=True),
        seed=spec.seed,
        libraries=libraries(),
        hardware=hardware(device),
        parent=parent,
    )


def code_version() -> str:
    """Return Tidepool's version, with the git commit if the build or a checkout tells it."""
    commit = BuildSettings().commit or _checked_out()
    return f"{__version__}+{commit[:12]}" if commit else __version__


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that decide about the bytes of a model."""
    versions = {name: _version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | {name: text for name, text in versions.items() if text is not None}


def hardware(device: str) -> str:
    """Return the GPU's name, or the model of the CPU with its number of cores."""
    if device != "cpu":
        return device
    return f"{_cpu() or platform.machine() or 'unknown CPU'}, {available_cores()} cores"


def _cpu() -> str | None:
    """Return the CPU's model name on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _checked_out() -> str | None:
    """Return the commit of the checkout that this code runs from; takes milliseconds."""
    if not (ROOT / ".git").exists():
        return None
    try:
        process = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None if process.returncode == 0 else None
