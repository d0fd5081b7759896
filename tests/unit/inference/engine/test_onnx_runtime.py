"""ONNX Runtime is imported with its telemetry switched off."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import services.inference.engine.onnx_runtime

SEAM = Path(services.inference.engine.onnx_runtime.__file__)
# The package `quantization` imports the seam before its modules.
MODULES = sorted(path for path in SEAM.parents[1].rglob("*.py") if path != SEAM and "quantization" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SEAM.parents[1]).as_posix())
def test_no_other_module_imports_onnxruntime_at_its_top(path: Path) -> None:
    first = ast.parse(path.read_text()).body
    names = [name.name for node in first if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in first if isinstance(node, ast.ImportFrom)]

    assert [name for name in names if name.partition(".")[0] == "onnxruntime"] == []


@pytest.mark.parametrize("module", ["engine.loader", "quantization.int8", "quantization.fp16"])
def test_telemetry_is_off_before_the_import(module: str) -> None:
    script = f"""
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "onnxruntime":
            print(os.environ["ORT_DISABLE_TELEMETRY"])
sys.meta_path.insert(0, Watch())
import services.inference.{module}
"""

    process = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert process.stdout.strip() == "1"
