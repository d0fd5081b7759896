"""promtool, which checks metrics and rules of Prometheus."""

import shutil
import subprocess
from pathlib import Path


def promtool(*arguments: str | Path, text: str = "") -> str:
    """Return what promtool complains about; empty if it accepts all."""
    binary = shutil.which("promtool")
    assert binary is not None, "promtool is not installed; apt-get install prometheus"
    checked = subprocess.run([binary, *arguments], input=text, capture_output=True, text=True, check=False)
    output = checked.stdout + checked.stderr
    assert checked.returncode == 0, output
    return output
