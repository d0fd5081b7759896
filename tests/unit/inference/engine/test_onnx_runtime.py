"""ONNX Runtime sends nobody a word about its use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import services.inference.engine.onnx_runtime

HERE = Path(services.inference.engine.onnx_runtime.__file__)
MODULES = sorted(path for path in HERE.parents[1].rglob("*.py") if path != HERE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(HERE.parents[1]).as_posix())
def test_nobody_else_imports_it_first(path: Path) -> None:
    first = ast.parse(path.read_text()).body
    names = [name.name for node in first if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in first if isinstance(node, ast.ImportFrom)]

    assert [name for name in names if name.partition(".")[0] == "onnxruntime"] == []


def test_it_is_told_before_it_is_imported() -> None:
    asks = "import os, sys, services.inference.engine.loader as _; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    said = subprocess.run(
        [sys.executable, "-c", asks], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "1"
