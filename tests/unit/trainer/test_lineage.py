"""The lineage of a trained model."""

import tomllib
from pathlib import Path

import pytest

from contract import __version__
from services.trainer import lineage
from services.trainer.lineage import LIBRARIES, code_version, hardware, lineage_of
from tests.examples import DATASET_MANIFEST
from tests.support.training_data import train_spec


def test_the_lineage_names_the_data_the_spec_and_the_libraries() -> None:
    spec = train_spec(seed=7)

    made = lineage_of(spec, DATASET_MANIFEST, "cpu", parent="lite0")

    assert made.data_sha256 == DATASET_MANIFEST.data_sha256
    assert (made.seed, made.parent, made.spec["dataset"]) == (7, "lite0", "set@1")
    assert set(made.libraries) == {"python", *LIBRARIES}


def test_the_commit_is_that_of_the_build_or_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_BUILD_COMMIT", "0123456789abcdef0123456789abcdef01234567")
    assert code_version() == f"{__version__}+0123456789ab"

    monkeypatch.delenv("TIDEPOOL_BUILD_COMMIT")
    monkeypatch.setattr(lineage, "ROOT", Path("/nonexistent"))
    assert code_version() == __version__


def test_the_hardware_is_the_gpu_or_the_cpu_with_its_cores() -> None:
    assert hardware("cuda:0 NVIDIA H100") == "cuda:0 NVIDIA H100"
    assert hardware("cpu").endswith(" cores")
    assert len(hardware("cpu")) > len(", 8 cores")


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((lineage.ROOT / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "contract.__version__"}
