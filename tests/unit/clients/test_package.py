"""`pip install ./clients/python` installs the client and the contract, and nothing of the server."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
CHECK = """
import sys, tidepool_client, contract.jobs
assert tidepool_client.__file__.startswith(sys.argv[1]) and contract.__file__.startswith(sys.argv[1])
assert list(map(str, contract.jobs.JobKind))
print(sorted(name for name in sys.modules if "." not in name))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed from a copy of the tree into a folder of its own."""
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("installed")
    for part in ("contract", "clients/python"):
        clutter = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        shutil.copytree(ROOT / part, tree / part, ignore=clutter)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(tree / "clients/python")], check=True)
    return target


def test_the_package_has_every_module_of_the_client_and_the_contract(installed: Path) -> None:
    for source, name in ((ROOT / "contract", "contract"), (ROOT / "clients/python/tidepool_client", "tidepool_client")):
        expected = {path.relative_to(source) for path in source.rglob("*.py")}
        assert {path.relative_to(installed / name) for path in (installed / name).rglob("*.py")} == expected
    assert {path.name for path in installed.iterdir() if path.is_dir() and "info" not in path.name} == {
        "contract",
        "tidepool_client",
    }


def test_the_client_imports_nothing_of_the_server(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", CHECK, str(installed)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    server = {"services", "tidepool", "messaging", "worker", "media", "fastapi", "sqlalchemy", "redis", "numpy"}
    assert not server & set(re.findall(r"'(\w+)'", run.stdout))


def test_the_versions_that_are_tested_are_allowed() -> None:
    pinned = dict(re.findall(r"^([\w-]+)(?:\[.*\])?==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[requirement.name]), text
