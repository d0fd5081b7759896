"""ONNX Runtime is imported with its telemetry switched off."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import services.inference.engine.onnx_runtime

SEAM = Path(services.inference.engine.onnx_runtime.__file__)
MODULES = sorted(path for path in SEAM.parents[1].rglob("*.py") if path != SEAM)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SEAM.parents[1]).as_posix())
def test_no_other_module_imports_onnxruntime_at_its_top(path: Path) -> None:
    first = ast.parse(path.read_text()).body
    names = [name.name for node in first if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in first if isinstance(node, ast.ImportFrom)]

    assert [name for name in names if name.partition(".")[0] == "onnxruntime"] == []


def test_telemetry_is_off_before_the_import() -> None:
    script = "import os, sys, services.inference.engine.loader as _; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    process = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert process.stdout.strip() == "1"
