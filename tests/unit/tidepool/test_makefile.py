"""The Makefile lists its targets and refuses a Python that is too old."""

import subprocess
import sys
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
        "secrets",
        "audit",
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
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    result = make(f"PYTHON={old}", "demo", folder=tmp_path)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_committed_secret_is_found(tmp_path: Path) -> None:
    detector = ROOT / "tests" / "support" / "key_detector.py"
    (tmp_path / "harmless.py").write_text('key = "tp_0123abcd"\nurl = "https://example.com"\n')
    (tmp_path / "own.py").write_text('key = "tp_' + "89abcdef" + "_" + "Zk3" * 14 + 'q"\n')
    (tmp_path / "aws.txt").write_text("AKIA" + "Q3EGRIVTKPWU7XNM\n")
    (tmp_path / "key.pem").write_text("-----BEGIN " + "RSA PRIVATE KEY-----\n")

    found = {}
    for file in sorted(tmp_path.iterdir()):
        command = [Path(sys.executable).parent / "detect-secrets-hook", "--no-verify", "--plugin", detector, file]
        found[file.name] = subprocess.run(command, capture_output=True, check=False).returncode

    assert found == {"aws.txt": 1, "harmless.py": 0, "key.pem": 1, "own.py": 1}
