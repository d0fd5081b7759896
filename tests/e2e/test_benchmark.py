"""A short benchmark run against a real stack writes its result files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_a_short_run_measures_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.inference", "--smoke", "--output", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "inference.json").read_text())
    assert written["missing"] == {}
    measured = {(point["server"], point["connections"]): point["median"] for point in written["points"]}
    assert measured.keys() == {("tidepool", 1), ("tidepool", 8), ("limit", 1), ("limit", 8)}
    for point in measured.values():
        assert point["per_s"] > 0
        assert (point["failed"], point["refused"]) == (0, 0)
    assert "| tidepool |" in (tmp_path / "inference.md").read_text()
    assert (tmp_path / "inference.png").read_bytes().startswith(b"\x89PNG")
