"""The command that evaluates an exported model."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from services.inference import evaluate
from tests.support.onnx_models import expected_logits, linear, random_images


def test_the_command_writes_logits_and_the_signature(tmp_path: Path) -> None:
    images, weights = random_images(10), np.linspace(-1, 1, 144 * 3, dtype=np.float32).reshape(144, 3)
    (tmp_path / "model.onnx").write_bytes(linear(weights=weights))
    np.save(tmp_path / "images.npy", images)

    command = [sys.executable, "-m", "services.inference.evaluate", "model.onnx"]
    root = Path(evaluate.__file__).parents[2]
    process = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        input=b"images.npy\n" * 2,
        capture_output=True,
        check=True,
    )

    logits = np.load(tmp_path / "images.logits.npy")
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected_logits(images, weights), rtol=1e-5, atol=1e-4)
    signature = {
        "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, 8, 6]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 3]}],
        "provider": "CPUExecutionProvider",
    }
    assert [json.loads(line) for line in process.stdout.splitlines()] == [signature, {"images": 10}, {"images": 10}]


@pytest.mark.parametrize("broken", ["model.onnx", "images.npy"])
def test_a_broken_input_file_fails_with_an_error_message(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(linear())
    np.save(tmp_path / "images.npy", random_images(2))
    (tmp_path / broken).write_bytes(b"garbage")

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tmp_path / 'images.npy'}\n"))

    status = evaluate.main([str(tmp_path / "model.onnx")])

    captured = capsys.readouterr()
    assert status == 1
    assert captured.err.strip()
    assert bool(captured.out) == (broken == "images.npy")  # the signature of a model that could be loaded
    assert not (tmp_path / "images.logits.npy").exists()


def test_images_of_another_size_are_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(linear())
    np.save(tmp_path / "images.npy", np.zeros((2, 3, 9, 9), np.uint8))

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tmp_path / 'images.npy'}\n"))

    status = evaluate.main([str(tmp_path / "model.onnx")])

    assert status == 1
    assert "(n, 3, 8, 6)" in capsys.readouterr().err
