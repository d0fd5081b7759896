"""The Makefile lists its targets and refuses a Python that is too old."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_help_is_the_default_target_and_lists_every_target() -> None:
    result = make()
    assert result.returncode == 0
    targets = [
        "help",
        "demo",
        "test",
        "e2e",
        "chaos",
        "bench-inference",
        "check",
        "up",
        "down",
        "status",
        "lock",
        "clean",
    ]
    for target in targets:
        assert f"make {target} " in result.stdout


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    result = make(f"PYTHON={old}", "demo", folder=tmp_path)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stdout
    assert not (tmp_path / ".venv").exists()
