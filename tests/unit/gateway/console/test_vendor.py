"""The files from other projects are the ones that were reviewed."""

import hashlib
import json
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[4] / "services/gateway/console/vendor"
PACKAGES = json.loads((VENDOR / "manifest.json").read_text())["packages"]
FILES = {file: digest for package in PACKAGES for file, digest in package["files"].items()}


@pytest.mark.parametrize("file", FILES)
def test_a_vendored_file_has_the_hash_of_the_manifest(file: str) -> None:
    assert hashlib.sha256((VENDOR / file).read_bytes()).hexdigest() == FILES[file]


def test_every_vendored_file_is_in_the_manifest() -> None:
    present = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert present - {"manifest.json"} == FILES.keys()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_every_package_has_a_version_and_brings_its_licence(package: dict[str, object]) -> None:
    assert package["version"]
    assert package["licence"] in {"0BSD", "MIT", "OFL-1.1", "Apache-2.0"}
    assert any(file.endswith("LICENSE") for file in package["files"])  # type: ignore[attr-defined]
