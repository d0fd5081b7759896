"""Evaluation of an exported model on the serving runtime."""

from pathlib import Path

import numpy as np
import pytest

from contract.errors import JobFailed
from contract.training import TensorSignature
from media.judging.tally import Tally
from services.trainer.evaluate import Runtime, evaluate
from tests.support.onnx_models import CARD, expected_logits, linear, random_images
from tests.support.training_data import stored

WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (144, 3)).astype(np.float32)


def model(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(linear(weights=WEIGHTS))
    return path


def test_run_returns_logits_and_signature(tmp_path: Path) -> None:
    images = random_images(7)
    np.save(tmp_path / "images.npy", images)

    with Runtime(model(tmp_path)) as runtime:
        logits, signature = runtime.run(tmp_path / "images.npy"), runtime.signature()

    np.testing.assert_allclose(logits, expected_logits(images, WEIGHTS), rtol=1e-4, atol=1e-4)
    assert signature.inputs == (TensorSignature(name="images", dtype="float32", shape=("batch", 3, 8, 6)),)
    assert signature.outputs == (TensorSignature(name="logits", dtype="float32", shape=("batch", 3)),)


def test_metrics_cover_all_shards(tmp_path: Path) -> None:
    images, labels = random_images(9), np.arange(9) % 3
    calls: list[str] = []

    shards = stored(tmp_path, "val", images, labels, shards=2)
    with Runtime(model(tmp_path)) as runtime:
        metrics = evaluate(runtime, shards, CARD.labels, lambda: calls.append("shard"))

    expected = Tally.of(expected_logits(images, WEIGHTS).astype(np.float32), labels).metrics(CARD.labels)
    assert metrics is not None
    assert metrics.confusion_matrix == expected.confusion_matrix
    assert metrics.loss == pytest.approx(expected.loss, rel=1e-4)
    assert calls == ["shard"] * 2


def test_an_empty_split_has_no_metrics(tmp_path: Path) -> None:
    with Runtime(model(tmp_path)) as runtime:
        assert evaluate(runtime, [], CARD.labels, lambda: None) is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    images = random_images(3)
    np.save(tmp_path / "images.npy", images)
    file = model(tmp_path)
    with Runtime(file) as runtime:
        before = runtime.run(tmp_path / "images.npy")
        file.write_bytes(linear(weights=2 * WEIGHTS))
        runtime.reload()

        after = runtime.run(tmp_path / "images.npy")

    np.testing.assert_allclose(after, 2 * before, rtol=1e-4, atol=1e-4)


def test_a_model_that_does_not_run_fails_the_job_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    np.save(tmp_path / "images.npy", random_images(1))

    with Runtime(tmp_path / "model.onnx") as runtime, pytest.raises(JobFailed, match="does not run"):
        runtime.run(tmp_path / "images.npy")

    assert "as an ONNX graph" in caplog.text


def test_images_that_a_model_does_not_take_fail_the_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 3, 9, 9), np.uint8))

    with Runtime(model(tmp_path)) as runtime:
        for _ in range(2):  # the second time, the process has ended
            with pytest.raises(JobFailed, match="does not run"):
                runtime.run(tmp_path / "images.npy")

    assert "(n, 3, 8, 6)" in caplog.text
